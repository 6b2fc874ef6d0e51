"""A folder with its two stores, in which sweeps are run as processes and broken in every way."""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import optuna
import psutil
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import RDBStorage

from orchestrator import layout
from tests.support.cli import command
from tests.support.paths import QUADRATIC
from tests.support.processes import Process
from tests.support.stores import short_name


def files(folder: Path) -> dict[str, str]:
    """The environment variables that name two stores in ``folder``."""
    return {"SWEEP_STORAGE": f"sqlite:///{folder}/sweeps.db", "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}


class Place:
    """Where a sweep called ``toy`` lives. ``stores`` are environment variables that name Optuna's and MLflow's."""

    def __init__(self, folder: Path, stores: Mapping[str, str]) -> None:
        self.folder, self.stores = folder, dict(stores)
        self.prefix: list[str] = []  # of every command
        self.processes: list[Process] = []

    # ---- commands ----------------------------------------------------------------------------------------------------

    def sweep(self, *arguments: str, **variables: str) -> Process:
        """Run the command to its end; ``variables`` are added to its environment."""
        return self.start(*arguments, **variables).finish()

    def start(self, *arguments: str, script: str = "", **variables: str) -> Process:
        """Start the command; ``script`` is Python that its process runs first."""
        line = [*self.prefix, *command(*arguments, script=script)]
        self.processes.append(Process(line, self.folder, self.stores | variables))
        return self.processes[-1]

    def run(self, *arguments: str, **settings: object) -> list[str]:
        """The command line of a sweep of the toy study; ``settings`` are the trainer's."""
        pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        return ["run", QUADRATIC, "--name", "toy", *pairs, *arguments]

    def close(self) -> None:
        """End all that is still there."""
        for process in self.processes:
            process.close()

    # ---- processes ---------------------------------------------------------------------------------------------------

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

    def computed(self, trials: int = 2, step: int = 1) -> Callable[[], bool]:
        """Whether so many trials have computed ``step``; the sweep must have the setting ``journal=journal``."""

        def condition() -> bool:
            journal = self.folder / "journal"
            lines = [line.split() for line in journal.read_text().splitlines()] if journal.exists() else []
            return len({line[0] for line in lines if len(line) == 3 and int(line[1]) >= step}) >= trials

        return condition

    def open_gate(self) -> None:
        """Let the trials of a sweep with the setting ``gate=gate`` go on past half their steps."""
        (self.folder / "gate").touch()

    def close_gate(self) -> None:
        """Have its trials wait at half their steps again."""
        (self.folder / "gate").unlink()

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
    return path.name.startswith(("checkpoint", "worker", layout.ENDED)) or path.suffix in (".part", ".jsonl")
