"""The tracker that is MLflow: the only file that imports it."""

import json
import logging
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
import mlflow.store.tracking.sqlalchemy_workspace_store  # noqa: F401  # else imported at first use, by every worker
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from models._events import Curve, DataUsed, Event, Facts, Images, Matrix, Scalars
from orchestrator import figures, sqlite
from orchestrator.errors import UserError
from orchestrator.tracking import Run, Status

BATCH = 500  # metrics in a request; MLflow takes 1000
BATCH_SECONDS = 1.0  # how old a number may get before the next event sends it
DEFAULT_URI = "sqlite:///mlflow.db"


def default_uri() -> str:
    """MLFLOW_TRACKING_URI, else the file that a plain ``mlflow ui`` in this folder looks into."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def absolute(uri: str) -> str:
    """A SQLite address that means the same file from every folder; others as they are."""
    prefix = "sqlite:///"
    return prefix + str(Path(uri.removeprefix(prefix)).absolute()) if uri.startswith(prefix) else uri


class MlflowRun:
    """A run of MLflow. See orchestrator.tracking.Run."""

    def __init__(self, client: MlflowClient, id: str) -> None:
        self.client, self.id = client, id
        self.waiting: list[Metric] = []
        self.oldest = 0.0

    def write(self, event: Event) -> None:
        """Numbers become metrics, pictures an image that plays over steps, data a dataset input, facts tags."""
        match event:
            case Scalars():
                self.scalars(event.step, event.values)
            case Images() | Curve() | Matrix():
                self.client.log_image(self.id, figures.draw(event), key=event.key, step=event.step, synchronous=True)
            case DataUsed():
                self._data(event)
            case Facts():
                self.tags({name: str(value) for name, value in event.values.items()})

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See Run."""
        now = time.time()
        if not self.waiting:
            self.oldest = now
        self.waiting += [Metric(name, float(value), int(now * 1000), step) for name, value in values.items()]
        if len(self.waiting) >= BATCH or now - self.oldest > BATCH_SECONDS:
            self.flush()

    def picture(self, name: str, picture: NDArray[Any]) -> None:
        """See Run."""
        self.client.log_image(self.id, picture, artifact_file=name)

    def file(self, path: Path, folder: str) -> None:
        """See Run."""
        self.client.log_artifact(self.id, str(path), folder)

    def text(self, name: str, text: str) -> None:
        """See Run."""
        self.client.log_text(self.id, text, name)

    def tags(self, values: Mapping[str, str]) -> None:
        """See Run."""
        self.client.log_batch(self.id, tags=[RunTag(name, value) for name, value in values.items()])

    def describe(self, markdown: str) -> None:
        """See Run."""
        self.tags({"mlflow.note.content": markdown})

    def flush(self) -> None:
        """See Run."""
        while self.waiting:
            batch, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
            self.client.log_batch(self.id, metrics=batch)

    def end(self, status: Status, tags: Mapping[str, str]) -> None:
        """See Run."""
        self.flush()
        self.tags(tags)
        self.client.set_terminated(self.id, status)

    def champion(self, network: nn.Module, shape: tuple[int, ...], name: str, tags: Mapping[str, str]) -> str:
        """See Run. The network is kept as an exported program, which loads without running pickled code."""
        import mlflow.pytorch
        import torch

        mlflow.set_tracking_uri(self.client.tracking_uri)  # the registry asks for it
        for noisy in ("mlflow", "torch.export", "torch.fx"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        with warnings.catch_warnings(), mlflow.start_run(run_id=self.id):
            warnings.simplefilter("ignore")  # of exporting, which either works or raises
            info = mlflow.pytorch.log_model(
                network.eval(),
                name="network",
                input_example=torch.zeros(2, *shape).numpy(),
                pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
                tags=dict(tags),
            )
        try:
            self.client.create_registered_model(name)
        except MlflowException:  # it has one, of the sweep's earlier end
            self.client.get_registered_model(name)
        version = self.client.create_model_version(name, info.model_uri, self.id, tags=dict(tags))
        self.client.set_registered_model_alias(name, "champion", version.version)
        return f"models:/{name}@champion"

    def _data(self, event: DataUsed) -> None:
        profile = json.dumps(dict(event.sizes))
        source = json.dumps({"uri": event.source})
        dataset = Dataset(event.name, event.digest[:36], "code", source, profile=profile)
        tag = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.id, [DatasetInput(dataset, [tag])])


class MlflowTracker:
    """The MLflow server or file at an address."""

    def __init__(self, uri: str, experiment: str | None = None) -> None:
        """``experiment`` is the id that new runs go to; runs that exist need none."""
        self.client = MlflowClient(uri)
        self.experiment = experiment

    def start(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], parent: str | None) -> Run:
        """See Tracker."""
        if self.experiment is None:
            raise ValueError("a tracker without an experiment cannot start runs")
        below = {"mlflow.parentRunId": parent} if parent else {}
        created = self.client.create_run(self.experiment, run_name=name, tags={**tags, **below})
        run = MlflowRun(self.client, created.info.run_id)
        self.client.log_batch(run.id, params=[Param(key, str(value)) for key, value in params.items()])
        return run

    def adopt(self, id: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> MlflowRun:
        """A run that somebody else began, as ours from now on."""
        run = self.resume(id)
        self.client.update_run(id, name=name)
        self.client.log_batch(
            id,
            params=[Param(key, str(value)) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        return run

    def resume(self, id: str) -> MlflowRun:
        """See Tracker."""
        return MlflowRun(self.client, id)

    def reopen(self, id: str) -> MlflowRun:
        """See Tracker."""
        self.client.update_run(id, status="RUNNING")
        return self.resume(id)


def warm(uri: str) -> None:
    """Open the store at ``uri`` for processes that will be forked from this one.

    They find it opened and its tables verified, which costs each a tenth of a second otherwise, and connect anew: no
    connection to a database may cross a fork.
    """
    store = MlflowClient(uri)._tracking_client.store
    if isinstance(store, SqlAlchemyStore):
        store.engine.dispose()


def connect(uri: str, option: str, experiment: str) -> MlflowTracker:
    """The tracker at ``uri``, its tables made, new runs going to ``experiment``; UserError where it cannot be had.

    Under ``mlflow run`` the experiment is the one of the run that it made: runs elsewhere would not be shown below it.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    if "://" in uri and not uri.startswith(("http:", "https:", "file:")):
        sqlite.check(uri, option)
    try:
        tracker = MlflowTracker(uri)
        tracker.experiment = _experiment(tracker.client, experiment)
    except Exception as error:  # a store may fail in as many ways as there are stores
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"{option}={uri} cannot be opened ({reason}); give sqlite:///FILE or the address of an mlflow server"
        ) from None
    return tracker


def _experiment(client: MlflowClient, name: str) -> str:
    given = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if given and os.environ.get("MLFLOW_RUN_ID"):
        return given
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "active":
        return found.experiment_id
    try:
        return client.create_experiment(name)
    except MlflowException:  # somebody else has just made it
        again = client.get_experiment_by_name(name)
        if again is None or again.lifecycle_stage != "active":
            raise
        return again.experiment_id
