"""A trained network as a model of MLflow's registry. It is the one thing that goes to MLflow without an outbox.

Each step looks first whether it has been done: whoever did it may have been killed before the next one.
"""

import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import mlflow.pytorch
import torch
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from torch import nn

from orchestrator.stores.answers import NEVER
from orchestrator.text import first_line
from orchestrator.tracking.default_tracker import default_tracker
from orchestrator.tracking.mlflow_store import MlflowStore
from orchestrator.tracking.stored_run import CHAMPION

NAME = "network"  # of the model below its run
# What a tracker that answers says of an account or a store that may not keep models.
REFUSALS = (
    *NEVER,
    "BAD_REQUEST",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "NOT_IMPLEMENTED",
    "FEATURE_DISABLED",
    "ENDPOINT_NOT_FOUND",
)


class NotRegistered(Exception):
    """The network cannot become a model of the registry, however often it is tried."""


def register(
    store: MlflowStore, run: str, network: nn.Module, shape: tuple[int, ...], name: str, tags: Mapping[str, str]
) -> str:
    """Keep a trained network of a run as the model ``name``, alias champion; returns the address to load it by.

    ``shape`` is of one input, without the batch. It is kept as an exported program, which loads without running pickled code.
    The run stays as it is. NotRegistered where it cannot be exported or the tracker refuses it; any other error means: later.
    """
    client = store.client
    for noisy in ("mlflow", "torch.export", "torch.fx"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        with default_tracker(client):
            version = _version(client, name, run) or _make_version(store, run, network, shape, name, tags)
            client.set_registered_model_alias(name, CHAMPION, version)
    except MlflowException as error:
        if error.error_code in REFUSALS:
            raise NotRegistered(first_line(error)) from error
        raise
    return f"models:/{name}@{CHAMPION}"


def _version(client: mlflow.MlflowClient, name: str, run: str) -> str:
    """The version of the model ``name`` that is of this run; '' where there is none."""
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run}'")
    return str(versions[0].version) if versions else ""


def _make_version(
    store: MlflowStore,
    run: str,
    network: nn.Module,
    shape: tuple[int, ...],
    name: str,
    tags: Mapping[str, str],
) -> str:
    client = store.client
    model = _logged(client, run)
    if model is None or model.status != LoggedModelStatus.READY:
        model = _log(store, run, model, network, shape, tags)
    try:
        client.create_registered_model(name)
    except MlflowException:  # it has one, of the sweep's earlier end
        client.get_registered_model(name)
    # A server with accounts takes it only with the id: by that it knows whose it is.
    uri = f"models:/{model.model_id}"
    return str(client.create_model_version(name, uri, run, tags=dict(tags), model_id=model.model_id).version)


def _logged(client: mlflow.MlflowClient, run: str) -> LoggedModel | None:
    """The network below the run, whole or begun."""
    experiment = client.get_run(run).info.experiment_id
    models = client.search_logged_models([experiment], f"source_run_id = '{run}' and name = '{NAME}'")
    return models[0] if models else None


def _log(
    store: MlflowStore,
    run: str,
    begun: LoggedModel | None,
    network: nn.Module,
    shape: tuple[int, ...],
    tags: Mapping[str, str],
) -> LoggedModel:
    """Export the network, and put it below its run. MLflow's own way would open the run again, and close it as of now."""
    client = store.client
    with tempfile.TemporaryDirectory() as folder:
        path, description = Path(folder, "model"), Model(run_id=run)
        _export(network, shape, path, description)
        stored = client.get_run(run)
        model = begun or client.create_logged_model(stored.info.experiment_id, NAME, run, tags=dict(tags))
        outputs = stored.outputs
        if not outputs or model.model_id not in [output.model_id for output in outputs.model_outputs]:
            client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
        description.artifact_path, description.model_id = model.artifact_location, model.model_id
        description.model_uuid = model.model_id
        description.save(str(path / "MLmodel"))
        store.guard()
        client.log_model_artifacts(model.model_id, str(path))
        return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _export(network: nn.Module, shape: tuple[int, ...], path: Path, description: Model) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of exporting, which either works or raises
            mlflow.pytorch.save_model(
                network.eval(),
                str(path),
                mlflow_model=description,
                input_example=torch.zeros(2, *shape).numpy(),
                pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
            )
    except OSError:  # the disk is full
        raise
    except Exception as error:  # a network may fail to be exported in as many ways as there are networks
        raise NotRegistered(first_line(error)) from error
