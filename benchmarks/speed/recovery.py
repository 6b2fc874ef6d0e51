"""What ``kill -9`` costs a sweep by the command line, with SQLite: time until a trial trains again, and work done twice.

The trainer sleeps through its steps and writes down when each is over: no step of a new life is seen before it has lasted
STEP, which all times hold. Beside the recovery of a worker stand what a fresh trial takes to its first step and a process
that imports torch, as each worker would that is not forked; beside that of a supervisor, the start of a new sweep.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

import optuna
import psutil

from benchmarks._figure import SWEEP, Figure, empty_folder, environment
from models.env import derive_seed
from orchestrator.layout import WORKER

T = TypeVar("T")
STUDY = Path(__file__).parents[2] / "tests" / "toy_studies" / "quadratic.py"
WORKERS, EVERY = 2, 1.0  # seconds between checkpoints
STEP, STEPS, ENDLESS = 0.05, 100, 1_000_000  # seconds of a step, steps of a trial
KILLS, PAUSE = 10, (1.0, 2.0)  # seconds of training from a recovery to the next kill, by chance
NOTICED, RESUMED = 2, 10  # seconds, the targets


class Computed(NamedTuple):
    """A step that a trial has computed, and when that was over, in seconds since 1970."""

    trial: int
    step: int
    at: float


class Sweep:
    """A sweep of the toy study in a folder, and the process that drives it."""

    def __init__(self, folder: Path, trials: int, steps: int) -> None:
        self.folder, self.steps = folder, steps
        self.trials = {derive_seed(0, "trial", number): number for number in range(trials)}
        settings = ("--set", f"seconds={STEP} steps={steps} journal=journal", "--pruner", "none")
        self.began = self.drive("run", str(STUDY), "--name", "killed", "--trials", str(trials), *settings)

    def drive(self, *arguments: str) -> float:
        """Start a command that drives the sweep; returns when that was."""
        began = time.time()
        command = [*SWEEP, *arguments, "--workers", str(WORKERS), "--checkpoint-every", str(EVERY)]
        self.process = subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL)
        return began

    def journal(self) -> list[Computed]:
        """All steps, in the order in which they were computed."""
        path = self.folder / "journal"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [Computed(self.trials[int(seed)], int(step), float(at)) for seed, step, at in lines]

    def first(self, trial: int, after: float = 0) -> float:
        """Wait for a step that the trial computes after a moment; returns when that was."""
        return self.until(lambda: next((it.at for it in self.journal() if it.trial == trial and it.at > after), None))

    def training(self) -> dict[int, psutil.Process]:
        """Workers of trials that have begun and are not near their end."""
        found = {}
        for number, step in {it.trial: it.step for it in self.journal()}.items():
            try:
                who = json.loads((self.folder / ".sweeps" / "killed" / f"trial-{number}" / WORKER).read_text())
                worker = psutil.Process(who["process"])
            except (OSError, ValueError, psutil.NoSuchProcess):
                continue
            if step < self.steps - 2 / STEP and abs(worker.create_time() - who["started"]) < 1:
                found[number] = worker
        return found

    def until(self, condition: Callable[[], T | None], seconds: float = 120) -> T:
        """Wait for something, and return it."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end or self.process.poll() is not None:
                self.process.kill()
                raise AssertionError(f"waited in vain, exit status {self.process.poll()}")
            time.sleep(0.01)
        return found


def measure(quick: bool = False) -> Iterator[Figure]:
    """Kills of workers, then of supervisors, each in a sweep of its own."""
    for kind in (_workers, _supervisors):
        with empty_folder() as folder:
            yield from kind(folder, 3 if quick else KILLS)


def _workers(folder: Path, kills: int) -> Iterator[Figure]:
    chance, took, imports = random.Random(kills), [], []
    sweep = Sweep(folder, WORKERS + kills, STEPS)  # so many trials that the last kill finds some
    for _ in range(kills):
        sweep.until(sweep.training)
        time.sleep(chance.uniform(*PAUSE))
        trial, worker = chance.choice(list(sweep.until(sweep.training).items()))
        killed = time.time()
        worker.kill()
        took.append(sweep.first(trial, killed + STEP) - killed)
    trials = optuna.load_study(study_name="killed", storage=f"sqlite:///{folder / 'sweeps.db'}")
    if sweep.process.wait() or sum(len(trial.user_attrs.get("deaths", [])) for trial in trials.trials) != kills:
        raise AssertionError(f"not each kill was seen once; exit status {sweep.process.returncode}")
    firsts = {it.trial: it.at for it in reversed(sweep.journal())}
    asked = {it.number: it.datetime_start for it in trials.trials[WORKERS:]}  # the first ones wait for the fork server
    fresh = [firsts[number] - at.timestamp() for number, at in asked.items() if at]
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        imports.append(time.perf_counter() - began)

    yield _judged(f"kill -9 of a worker, until its trial trains again, {kills} times", took, NOTICED)
    yield Figure("  a fresh trial, from being asked to its first step", _range(fresh))
    yield Figure("  a process that imports torch, and no more", _range(imports))
    again, total = _twice(sweep.journal())
    # Of all that is trained from one kill to the next, at most what one worker does between checkpoints is lost.
    bound = EVERY / (STEP * total / kills)
    measured, words = f"{again / total:.1%} ({again} of {total:,})", "checkpoint interval / training between kills"
    yield Figure("  steps computed again", measured, f"<= {bound:.1%}, {words}", again / total <= bound)


def _supervisors(folder: Path, kills: int) -> Iterator[Figure]:
    chance, one, both = random.Random(kills), [], []
    sweep = Sweep(folder, WORKERS, ENDLESS)
    starting = sweep.first(0) - sweep.began
    for _ in range(kills):
        sweep.until(lambda: len(sweep.training()) == WORKERS)
        time.sleep(chance.uniform(*PAUSE))
        left, killed = sweep.training(), time.time()
        sweep.process.kill()
        sweep.process.wait()
        sweep.drive("resume", "killed")
        psutil.wait_procs(left.values())  # they leave by themselves, with a checkpoint; no other begins before
        gone = time.time()
        took = [sweep.first(trial, gone) - killed for trial in left]
        one.append(min(took))
        both.append(max(took))
    subprocess.run([*SWEEP, "stop", "killed", "--now"], cwd=folder, env=environment(), stdout=subprocess.DEVNULL)
    sweep.process.wait()

    yield _judged(f"kill -9 of the supervisor and sweep resume, until a trial trains, {kills} times", one, RESUMED)
    yield Figure("  until all of them do", _range(both))
    yield Figure("  a new sweep, until its first trial trains", f"{starting:.2f} s")
    again, total = _twice(sweep.journal())
    yield Figure("  steps computed again", f"{again / total:.1%} ({again} of {total:,})")


def _twice(steps: list[Computed]) -> tuple[int, int]:
    """How many steps were computed again, and how many were computed."""
    times = Counter((it.trial, it.step) for it in steps)
    return times.total() - len(times), times.total()


def _judged(name: str, seconds: list[float], target: float) -> Figure:
    return Figure(name, _range(seconds), f"< {target} s", median(seconds) < target)


def _range(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
