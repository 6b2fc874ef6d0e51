"""The supervisor is killed, and the sweep goes on from another machine, which has the stores and nothing of the first's disk."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import layout
from tests.support.faults import computed
from tests.support.machines import REFUSAL
from tests.support.place import Place, files
from tests.support.processes import wait_until_gone

pytestmark = pytest.mark.slow
STEPS = 20


def machine(name: str, hidden: Path) -> list[str]:
    """What a command begins with that runs on a machine of this name, for which the folder ``hidden`` is not there.

    Processes and network are this machine's, so servers of loopback are reached.
    """
    begin = f'hostname {name} && mount -t tmpfs none "$0" && exec "$@"'
    return ["unshare", "--mount", "--uts", "sh", "-c", begin, str(hidden)]


@pytest.fixture
def places(request: pytest.FixtureRequest, place: Place) -> Iterator[tuple[Place, Place]]:
    """One sweep's folders on two machines. The stores are apart from both: servers, or files that both reach."""
    folders = [place.folder / name for name in ("one", "two", "both")]
    for folder in folders:
        folder.mkdir()
    one, two, both = folders
    line = [*machine("other", one), "true"]
    if not shutil.which("unshare") or subprocess.run(line, capture_output=True).returncode:
        pytest.skip(REFUSAL)
    stores = place.stores if "MLFLOW_TRACKING_USERNAME" in place.stores else files(both)
    made = Place(one, stores), Place(two, stores)
    made[1].prefix = machine("other", hidden=one)
    yield made
    for opened in made:
        opened.close()


@pytest.mark.parametrize(
    ("place", "checkpoints"),
    [
        ("files", True),
        pytest.param("servers", True, marks=pytest.mark.long),
        pytest.param("servers", False, marks=pytest.mark.long),
    ],
    indirect=["place"],
)
def test_a_sweep_goes_on_from_a_machine_that_has_only_the_stores(
    places: tuple[Place, Place], checkpoints: bool
) -> None:
    """Its second trial is in the middle when the power goes; the first is complete, and stays so."""
    one, two = places
    journal = one.folder.parent / "both" / "journal"
    far = one.folder.parent / "both" / "far"
    options = ["--trials", "2", "--workers", "1", "--pruner", "none", "--checkpoint-every", "0.2"]
    options += ["--checkpoints", str(far)] if checkpoints else []
    process = one.start(*one.run(*options, steps=STEPS, seconds=0.1, journal=journal))

    def reached() -> bool:
        steps = computed(journal)
        return len(steps) == 2 and max(list(steps.values())[1]) >= STEPS // 2

    process.wait_for(reached)
    family = process.family()
    process.kill()
    wait_until_gone(family)
    before = computed(journal)
    assert list((far if checkpoints else one.folder).rglob(layout.CHECKPOINT))

    refused = two.sweep("resume", "toy")
    assert refused.returncode == 2
    assert f"are in {one.folder} on {os.uname().nodename}; go on there" in refused.stderr, refused.output
    assert "resume toy --moved`" in refused.stderr and not any(two.folder.iterdir())
    done = two.sweep("resume", "toy", "--moved", "--workers", "1")
    assert done.returncode == 0, done.output
    two.check(2, STEPS)
    again = computed(journal)
    first, second = list(before)
    assert again[first] == before[first], "what was complete is not computed again"
    resumed = again[second][len(before[second])]
    assert resumed > 1 if checkpoints else resumed == 1
    assert not list(far.rglob("*.pt"))
    late = one.sweep("resume", "toy")
    assert late.returncode == 2 and f"belongs to {two.folder}" in late.stderr, late.output
