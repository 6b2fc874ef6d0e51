"""Settings and marks of the tests that break a sweep in the middle."""

from pathlib import Path

import pytest

from tests.support.place import Place

STEPS = 40
STEP = 0.1  # seconds
# Trials wait after half their steps until the gate is opened, so a fault always meets them there.
GATED = {"seconds": STEP, "steps": STEPS, "journal": "journal", "gate": "gate"}
HALF = STEPS // 2
SILENCE = 6  # seconds: longer than a worker that lives is ever silent on a busy machine
EVERY = ("--pruner", "none", "--checkpoint-every", "0.5", "--workers", "2")

# What takes minutes is tried on servers as well by `pytest -m long`.
servers_long = pytest.mark.parametrize(
    "place", ["files", pytest.param("servers", marks=pytest.mark.long)], indirect=True
)
files_only = pytest.mark.parametrize("place", ["files"], indirect=True)


def computed(journal: Path) -> dict[str, list[int]]:
    """The steps that were computed, by seed, in their order."""
    steps: dict[str, list[int]] = {}
    for line in journal.read_text().splitlines() if journal.exists() else ():
        seed, step, _ = line.split()
        steps.setdefault(seed, []).append(int(step))
    return steps


def computed_twice(place: Place) -> int:
    """Steps that were computed more than once."""
    every = computed(place.folder / "journal")
    assert every, "something was computed"
    return sum(len(steps) - len(set(steps)) for steps in every.values())
