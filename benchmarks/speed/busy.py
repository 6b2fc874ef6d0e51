"""Threads of a small convolutional network beside other work: passes a second by one thread, and by as many as there are cores.

The default is what the launcher gives the only worker of a sweep: all cores, and threads that sleep while they wait.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks._figure import Figure, environment
from orchestrator.devices import cores
from orchestrator.launchers.local import WAITING

LOADS = (0, 2, 6)  # processes that compute all the time
ROUNDS, SECONDS = 3, 4.0  # each way is measured so often, in turn, for so long
LEAST_SHARE = 0.95  # of the best way

PASSES = """
import sys, time, torch
threads, seconds = int(sys.argv[1]), float(sys.argv[2])
torch.set_num_threads(threads)
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.SiLU(),
    torch.nn.Flatten(), torch.nn.Linear(32 * 256, 1))
x = torch.rand(64, 1, 16, 16)
done, begin = 0, None
while begin is None or time.monotonic() - begin < seconds:
    net(x).sum().backward()
    done += 1
    if begin is None and done == 3:
        done, begin = 0, time.monotonic()
print(done / (time.monotonic() - begin))
"""


def measure(quick: bool) -> Iterator[Figure]:
    """Passes a second at each load, and the share of the best way that the default reaches."""
    rounds, seconds = (1, 0.5) if quick else (ROUNDS, SECONDS)
    ways = {
        "1 thread": (1, {}),
        f"{cores()} threads": (cores(), {"OMP_WAIT_POLICY": ""}),
        "default": (cores(), WAITING),
    }
    for load in LOADS:
        passes = dict.fromkeys(ways, 0.0)
        with _busy(load):
            for _ in range(rounds):
                for way, (threads, variables) in ways.items():
                    passes[way] += _passes(threads, variables, seconds) / rounds
        for way, number in passes.items():
            yield Figure(f"load {load}: {way}", f"{number:.1f} passes/s")
        share = passes["default"] / max(passes.values())
        yield Figure(
            f"load {load}: default, of the best", f"{share:.2f}", f"at least {LEAST_SHARE}", share >= LEAST_SHARE
        )


@contextmanager
def _busy(load: int) -> Iterator[None]:
    """Beside processes that compute all the time."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(load)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _passes(threads: int, variables: Mapping[str, str], seconds: float) -> float:
    settings = {**os.environ, **environment(), "OMP_NUM_THREADS": str(threads), **variables}
    command = [sys.executable, "-c", PASSES, str(threads), str(seconds)]
    return float(subprocess.run(command, env=settings, check=True, capture_output=True, text=True).stdout)
