"""A folder with its two stores, in which sweeps are run as processes and broken in every way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import psutil
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import RDBStorage

from orchestrator.worker import result as ending
from tests.orchestrator.cli.test_cli import environment, short_name
from tests.support.paths import QUADRATIC


class Place:
    """Where a sweep called ``toy`` lives. ``stores`` are environment variables that name Optuna's and MLflow's."""

    def __init__(self, folder: Path, stores: Mapping[str, str]) -> None:
        self.folder, self.stores = folder, dict(stores)
        self.prefix: list[str] = []  # of every command
        self.processes: list[subprocess.Popen[str]] = []

    # ---- commands ----------------------------------------------------------------------------------------------------

    def sweep(self, *arguments: str, timeout: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end; ``more`` are further environment variables."""
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *arguments: str, script: str = "", **more: str) -> subprocess.Popen[str]:
        """Start the command; ``script`` is Python that is run first, in its process."""
        code = f"{script}\nfrom orchestrator.cli.main import main\nmain()"
        command = [*self.prefix, sys.executable, *(["-c", code] if script else ["-m", "orchestrator"]), *arguments]
        self.processes.append(
            subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment() | self.stores | more,
                start_new_session=True,
            )
        )
        return self.processes[-1]

    def run(self, *arguments: str, **settings: object) -> list[str]:
        """The command line of a sweep of the toy study; ``settings`` are the trainer's."""
        pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        return ["run", QUADRATIC, "--name", "toy", *pairs, *arguments]

    def close(self) -> None:
        """End all that is still there."""
        for process in self.processes:
            family = self.family(process)
            if process.poll() is None:
                process.kill()
            for child in family:
                try:
                    child.kill()
                except psutil.NoSuchProcess:
                    pass
            process.communicate()

    # ---- processes ---------------------------------------------------------------------------------------------------

    @staticmethod
    def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
        """Everything below a process."""
        try:
            return list(psutil.Process(process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> dict[int, int]:
        """Process numbers of the workers that say they are there, by trial."""
        found = {}
        for path in self.folder.glob(".sweeps/toy/trial-*/worker.json"):
            try:
                who = json.loads(path.read_text())
                if abs(psutil.Process(who["process"]).create_time() - who["started"]) < 1:
                    found[int(path.parent.name.removeprefix("trial-"))] = int(who["process"])
            except (psutil.NoSuchProcess, ValueError, OSError):
                continue
        return found

    # ---- what there is ------------------------------------------------------------------------------------------------

    def trials(self, name: str = "toy") -> list[optuna.trial.FrozenTrial]:
        """Optuna's trials."""
        storage = RDBStorage(self.stores["SWEEP_STORAGE"])
        try:
            return optuna.load_study(study_name=name, storage=storage).trials
        finally:
            storage.remove_session()
            storage.engine.dispose()

    def trial(self, number: int) -> Path:
        """A trial's folder."""
        return self.folder / ".sweeps" / "toy" / f"trial-{number}"

    def mlflow(self) -> MlflowClient:
        """Signed in, as far as that is needed."""
        os.environ.update({key: value for key, value in self.stores.items() if key.startswith("MLFLOW_")})
        return MlflowClient(self.stores["MLFLOW_TRACKING_URI"])

    def runs(self) -> dict[str, Run]:
        """MLflow's runs, by the first part of their names."""
        client = self.mlflow()
        found = [run for one in client.search_experiments() for run in client.search_runs([one.experiment_id])]
        names = [short_name(run.info.run_name) for run in found]
        assert len(set(names)) == len(found), "one run a trial"
        return dict(zip(names, found, strict=True))

    def steps(self, run: Run, key: str = "noise") -> list[int]:
        """The steps of a metric in MLflow."""
        return [metric.step for metric in self.mlflow().get_metric_history(run.info.run_id, key)]

    def begun(self, trials: int = 2, step: int = 1) -> Callable[[], bool]:
        """Whether so many trials have computed ``step``."""

        def condition() -> bool:
            journal = self.folder / "journal"
            lines = journal.read_text().splitlines() if journal.exists() else []
            return len({line.split()[0] for line in lines if int(line.split()[1]) >= step}) >= trials

        return condition

    # ---- what must be ------------------------------------------------------------------------------------------------

    def check(self, total: int, steps: int, **outcomes: int) -> None:
        """The exact total, one run a trial, closed as the trial is, every point there once, no process or file left."""
        trials = self.trials()
        assert [trial.number for trial in trials] == list(range(total))
        found = Counter(trial.user_attrs["outcome"] for trial in trials)
        assert found == Counter(outcomes or {"complete": total}), [trial.user_attrs for trial in trials]
        runs = self.runs()
        assert set(runs) == {"toy", *(f"trial {number}" for number in range(total))}
        statuses = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
        for trial in trials:
            run = runs[f"trial {trial.number}"]
            outcome = trial.user_attrs["outcome"]
            assert (run.info.status, run.data.tags["outcome"]) == (statuses[outcome], outcome)
            assert run.data.params["x"] == str(trial.params["x"])
            said = self.steps(run)
            assert len(said) == len(set(said)), "every point is there once"
            if outcome == "complete":
                assert sorted(said) == list(range(1, steps + 1)), "and none is lost"
        assert runs["toy"].info.status == "FINISHED"
        assert not self.workers()
        left = [str(path) for path in (self.folder / ".sweeps").rglob("*") if _temporary(path)]
        assert not left, left


def _temporary(path: Path) -> bool:
    return path.name.startswith(("checkpoint", "worker", ending.NAME)) or path.suffix in (".part", ".jsonl")


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """As `kill -9`."""
    os.kill(pid, number)


def gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that are still there after so many seconds."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return list(alive)


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> float:
    """Wait until it is so; returns how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - began
