"""A trained network as a model of MLflow's registry. It is the one thing that goes to MLflow without an outbox."""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import mlflow.pytorch
import torch
from mlflow.exceptions import MlflowException
from torch import nn

from orchestrator.tracking.mlflow_store import MlflowStore, prepare

ALIAS = "champion"


def register(
    store: MlflowStore, run: str, network: nn.Module, shape: tuple[int, ...], name: str, tags: Mapping[str, str]
) -> str:
    """Keep a trained network of a run as the model ``name``, alias champion; returns the address to load it by.

    ``shape`` is of one input, without the batch. It is kept as an exported program, which loads without running pickled code.
    """
    client = store.client
    mlflow.set_tracking_uri(client.tracking_uri)  # the registry asks for it
    for noisy in ("mlflow", "torch.export", "torch.fx"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    ended = client.get_run(run).info
    try:
        with warnings.catch_warnings(), mlflow.start_run(run_id=run):
            warnings.simplefilter("ignore")  # of exporting, which either works or raises
            info = mlflow.pytorch.log_model(
                network.eval(),
                name="network",
                input_example=torch.zeros(2, *shape).numpy(),
                pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
                tags=dict(tags),
            )
    finally:  # as it was before: else the trial seems to have lasted until now, or to have failed
        client.set_terminated(run, ended.status, ended.end_time)
    untyped: Any = client
    prepare(untyped._get_registry_client().store)
    try:
        client.create_registered_model(name)
    except MlflowException:  # it has one, of the sweep's earlier end
        client.get_registered_model(name)
    # A server with accounts takes it only with the id: by that it knows whose it is.
    version = client.create_model_version(name, info.model_uri, run, tags=dict(tags), model_id=info.model_id)
    client.set_registered_model_alias(name, ALIAS, version.version)
    return f"models:/{name}@{ALIAS}"
