"""Where what belongs to a trial is: its folder, its run in MLflow."""

from pathlib import Path

from optuna.trial import FrozenTrial

from orchestrator.outbox import run_id
from orchestrator.spec import Spec


def trial_folder(sweep_folder: str, number: int) -> Path:
    """Where a trial's files are."""
    return Path(sweep_folder) / f"trial-{number}"


def run_of(spec: Spec, trial: FrozenTrial) -> str:
    """The MLflow run of a trial; '' where none is known."""
    return run_id(trial_folder(spec.folder, trial.number)) or trial.user_attrs.get("run") or ""
