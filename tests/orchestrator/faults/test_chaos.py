"""Random processes of a sweep are killed at random moments, over and over."""

import os
import random
import time
from collections import Counter

import pytest

from tests.support.faults import computed
from tests.support.place import Place
from tests.support.processes import LIMIT, kill

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("place", "kills"),
    [
        ("files", 12),
        pytest.param("servers", 50, marks=pytest.mark.long),
        pytest.param("files", int(os.environ.get("SWEEP_TEST_KILLS", "500")), marks=pytest.mark.long),
    ],
    indirect=["place"],
)
def test_chaos(place: Place, kills: int) -> None:
    """A random process of the sweep is killed at a random moment, over and over; then it is let to its end."""
    chance = random.Random(kills)
    total, steps, interval = kills, 60, 0.3  # so many last longer than the kills, on a busy machine too
    # Chance may kill three workers of a trial at the same checkpoint, which by default is what a failed trial does.
    limits = ("--checkpoint-every", str(interval), "--deaths", str(kills))
    place.start(
        *place.run("--trials", str(total), "--pruner", "none", "--workers", "2", *limits),
        *("--set", "seconds=0.05", "--set", f"steps={steps}", "--set", "journal=journal"),
    )
    place.processes[-1].wait_for(place.workers)
    killed: Counter[str] = Counter()
    while killed.total() < kills:
        time.sleep(chance.uniform(0.0, 1.2))
        process = place.processes[-1]
        assert process.returncode is None, ("there is time for all kills", process.output)
        kind = chance.choice(["supervisor", "worker", "worker", "server", "server"])
        workers = list(place.workers().values())
        servers = [one.pid for one in process.family() if one.pid not in workers]
        targets = {"supervisor": [process.pid], "worker": workers, "server": servers}[kind]
        if not targets:
            continue
        try:
            kill(chance.choice(targets))
        except ProcessLookupError:
            continue
        killed[kind] += 1
        if kind == "supervisor":
            process.finish()
            place.start("resume", "toy", "--workers", "2", *limits).wait_for(place.workers)
    assert len(killed) == 3, killed
    last = place.processes[-1].finish(limit=LIMIT + 10 * total)
    if last.returncode:
        done = place.sweep("resume", "toy", "--workers", "2")
        assert done.returncode == 0, (last.output, done.output)
    place.check(total, steps)
    most = interval / 0.05 + 4
    for seed, found in computed(place.folder / "journal").items():
        lives = 1 + sum(now <= before for before, now in zip(found, found[1:], strict=False))
        assert len(found) - len(set(found)) <= (lives - 1) * most, seed
