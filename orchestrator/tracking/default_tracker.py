"""MLflow's own idea of which tracker a process uses."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlflow
from mlflow import MlflowClient

from orchestrator.tracking.mlflow_tables import prepare


@contextmanager
def default_tracker(client: MlflowClient) -> Iterator[None]:
    """Have MLflow take this tracker for the process's own inside the block: the registry of models asks for it.

    MLflow notes it in the environment, where it would outlast the block.
    """
    before: Any = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(client.tracking_uri)
    try:
        untyped: Any = client
        prepare(untyped._get_registry_client().store)
        yield
    finally:
        mlflow.set_tracking_uri(before)  # None: its default again, where "" would be a folder
