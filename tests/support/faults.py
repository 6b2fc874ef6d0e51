"""Settings and marks of the tests that break a sweep in the middle."""

from collections import defaultdict

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


def computed_steps(place: Place) -> dict[str, list[int]]:
    """Steps as they were computed, by trial."""
    steps: dict[str, list[int]] = defaultdict(list)
    for line in (place.folder / "journal").read_text().splitlines():
        seed, step, _ = line.split()
        steps[seed].append(int(step))
    return steps


def computed_twice(place: Place) -> int:
    """Steps that were computed more than once."""
    return sum(len(steps) - len(set(steps)) for steps in computed_steps(place).values())
