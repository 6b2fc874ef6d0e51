"""Environment variables that name stores, runs and experiments: a test that begins sweeps has none of them."""

import pytest

NAMES = ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "SWEEP_STORAGE")


def unset(patch: pytest.MonkeyPatch) -> None:
    """Take them all away, until ``patch`` is undone."""
    for name in NAMES:
        patch.delenv(name, raising=False)
