"""Trained networks that MLflow keeps of a sweep's runs, and the registered model with its champion, in another store."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlflow import artifacts
from mlflow.entities import LoggedModelOutput, Run
from mlflow.entities.model_registry import ModelVersion

from orchestrator.renaming import Renaming
from orchestrator.tracking.default_tracker import default_tracker
from orchestrator.tracking.mlflow_store import MlflowStore
from orchestrator.tracking.run_copy import TEXTS
from orchestrator.tracking.stored_run import CHAMPION

VERSIONS = "mlflow.modelVersions"  # a tag that a server writes itself
DESCRIPTION = "MLmodel"
DESCRIBED = (*TEXTS, ".yaml", ".yml", "")  # files of a model that may name its run; DESCRIPTION has no ending


def networks(source: MlflowStore, target: MlflowStore, runs: Sequence[Run], renaming: Renaming) -> None:
    """Make the networks of these runs again, below the new runs; ``renaming`` learns their ids."""
    for run in runs:
        for output in run.outputs.model_outputs if run.outputs else []:
            _network(source, target, output.model_id, output.step, renaming.ids[run.info.run_id], renaming)


def _network(source: MlflowStore, target: MlflowStore, id: str, step: int, run: str, renaming: Renaming) -> None:
    model = source.client.get_logged_model(id)
    own = {key: value for key, value in model.tags.items() if key != VERSIONS}
    made = target.client.create_logged_model(
        target.experiment, model.name, run, renaming.in_json(own), model.params, model.model_type
    )
    renaming.ids[id.removeprefix("m-")] = made.model_id.removeprefix("m-")
    with tempfile.TemporaryDirectory() as folder:
        at, uri = model.artifact_location, source.client.tracking_uri
        files = Path(artifacts.download_artifacts(artifact_uri=at, dst_path=folder, tracking_uri=uri))
        renaming.in_files(files, DESCRIBED)
        text = (files / DESCRIPTION).read_text(encoding="utf-8")
        (files / DESCRIPTION).write_text(text.replace(at, made.artifact_location), encoding="utf-8")
        target.client.log_model_artifacts(made.model_id, str(files))
    target.client.finalize_logged_model(made.model_id, model.status)
    target.client.log_outputs(run, [LoggedModelOutput(made.model_id, step)])


def exists(store: MlflowStore, name: str) -> bool:
    """Whether the registry has a model of this name."""
    return bool(store.client.search_registered_models(f"name = '{name}'", max_results=1))


def versions(store: MlflowStore, name: str) -> list[ModelVersion]:
    """All versions of the registered model ``name``, the first one first; [] where there is no such model."""
    if not exists(store, name):
        return []
    found = [store.client.get_model_version(name, listed.version) for listed in _listed(store, name)]
    return sorted(found, key=lambda version: int(version.version))


def register(target: MlflowStore, of: Sequence[ModelVersion], name: str, renaming: Renaming) -> str:
    """Make the model ``name`` with these versions, as far as their networks were copied, and with their aliases.

    Returns the champion's address, '' where there is none.
    """
    address = ""
    for version in of:
        old = (version.model_id or (version.source or "").rpartition("/")[2]).removeprefix("m-")
        if old not in renaming.ids:
            continue
        if not exists(target, name):
            target.client.create_registered_model(name)
        id, run = f"m-{renaming.ids[old]}", renaming.ids.get(version.run_id or "")
        with default_tracker(target.client):
            made = target.client.create_model_version(
                name, f"models:/{id}", run, tags=version.tags, description=version.description, model_id=id
            )
        for alias in version.aliases:
            target.client.set_registered_model_alias(name, alias, made.version)
            address = f"models:/{name}@{CHAMPION}" if alias == CHAMPION else address
    return address


def discard(store: MlflowStore, name: str) -> None:
    """Remove the registered model ``name``, if there is one."""
    if exists(store, name):
        store.client.delete_registered_model(name)


def _listed(store: MlflowStore, name: str) -> list[ModelVersion]:
    found: list[ModelVersion] = []
    token = None
    while True:
        page = store.client.search_model_versions(f"name = '{name}'", page_token=token)
        found += page
        token = page.token
        if not token:
            return found
