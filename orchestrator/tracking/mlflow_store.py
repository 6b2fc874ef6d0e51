"""Runs in MLflow: what is delivered to them, and what is read from them. `connection.py` opens a store."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking.multimedia import compress_image_size
from PIL import Image

from orchestrator.delivery.entries import Begin, Data, End, Entry, File, Note, Numbers, Picture, Tags
from orchestrator.delivery.outbox import of_picture
from orchestrator.delivery.store import Found, Refused, Unclear
from orchestrator.pictures import whole
from orchestrator.stores import answers, artifact_locations, failures
from orchestrator.tracking import mlflow_pages, names
from orchestrator.tracking.mlflow_tables import prepare, respect_escapes
from orchestrator.tracking.stored_run import CHAMPION, KEY, PICTURES, StoredRun, pictures, recorded

METRICS = 800  # in a request: MLflow takes 1,000 things, up to 100 parameters and 100 tags among them
STEPS = range(-(2**63), 2**63)  # that a database can hold
AWAY = (MlflowException, OSError)  # what MLflow raises while it is out of reach


class MlflowStore:
    """The MLflow server or file at an address. See orchestrator.delivery.store.Store."""

    def __init__(self, uri: str, experiment: str) -> None:
        """``experiment`` is the id of the one that new runs go to."""
        respect_escapes()
        self.client, self.experiment = MlflowClient(uri), experiment
        self.renamed: dict[str, str] = {}  # numbers whose own names MLflow refuses, and what they are called there
        self.guard: Callable[[], None] = lambda: None  # raises where no file may be written: in a folder that is gone
        prepare(self.client._tracking_client.store)

    def make_experiment(self, name: str) -> None:
        """New runs go to the experiment ``name`` from now on, deleted or not; it is made where there is none."""
        if self.find_experiment(name):
            return
        try:
            self.experiment = self.client.create_experiment(name)
        except MlflowException:  # somebody else has just made it
            if not self.find_experiment(name):
                raise

    def find_experiment(self, name: str) -> bool:
        """New runs go to the experiment ``name`` from now on, deleted or not; False where there is none."""
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            self.experiment = experiment.experiment_id
        return experiment is not None

    def find_experiment_id(self, id: str) -> bool:
        """The same, by its id."""
        try:
            self.experiment = self.client.get_experiment(id).experiment_id
        except MlflowException as error:
            if not answers.is_final(error):
                raise
        return self.experiment == id

    def experiment_deleted(self) -> str:
        """The name of the experiment that new runs go to, if it was deleted; else ''."""
        experiment = self.client.get_experiment(self.experiment)
        return "" if experiment.lifecycle_stage == "active" else str(experiment.name)

    def begin(self, entry: Begin) -> Found:
        """See Store."""
        with self._refusing(entry.run):
            run = entry.run or self._find(entry.key)
            tags = {**entry.tags, KEY: entry.key}
            if run is None:
                below = {"mlflow.parentRunId": entry.parent} if entry.parent else {}
                created = self.client.create_run(
                    self.experiment, start_time=entry.at, run_name=entry.name, tags={**tags, **below}
                )
                return Found(created.info.run_id)
            self.client.update_run(run, status="RUNNING", name=entry.name)
            self.client.log_batch(run, tags=_tags(tags))
            return Found(run, self._steps(run))

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        """See Store. Numbers become metrics, pictures images that play over steps, data a dataset input."""
        metrics = [
            Metric(self._name(key, entry.step), value, entry.at, entry.step)
            for entry in entries
            if isinstance(entry, Numbers)
            for key, value in entry.values.items()
        ]
        tags: dict[str, str] = {}
        params: dict[str, str] = {}
        for entry in entries:
            if isinstance(entry, Begin):
                params |= entry.params
            elif isinstance(entry, Tags | End):
                named = {"mlflow.runName": entry.name} if isinstance(entry, End) and entry.name else {}
                tags |= named | (entry.tags if isinstance(entry, End) else entry.values)
            elif isinstance(entry, Note):
                tags["mlflow.note.content"] = mlflow_pages.linked(entry.markdown, self.experiment)
        with self._refusing(run):
            while len(metrics) > METRICS:  # in their order: what is there last tells that all before it is
                self.client.log_batch(run, metrics=metrics[:METRICS])
                metrics = metrics[METRICS:]
            self._files(run, [entry for entry in entries if isinstance(entry, Picture | File)], tags)
            for entry in entries:
                if isinstance(entry, Data):
                    self._data(run, entry)
            if metrics or params or tags:  # in one request
                self.client.log_batch(run, metrics, _params(params), _tags(tags))
            ends = [entry for entry in entries if isinstance(entry, End) and entry.status]
            if ends:
                self.client.set_terminated(run, ends[-1].status, end_time=ends[-1].at)

    def keep_view(self, name: str, view: str) -> None:
        """Keep a view of the experiment's runs, for its menu of views and its address; what cannot be kept is only a view."""
        with suppress(*AWAY):
            self.client.set_experiment_tag(self.experiment, mlflow_pages.VIEW + name, view)

    def follow(self, run: str) -> None:
        """Make new runs where this one is: elsewhere they would not be shown below it."""
        self.experiment = self.client.get_run(run).info.experiment_id

    def records(self, id: str, deleted: bool = False) -> list[StoredRun]:
        """All runs of the sweep with this id, its own among them, the oldest first; with the ``deleted`` ones if wanted."""
        return self._search(f"tags.`{KEY}` LIKE '{id}%'", ViewType.ALL if deleted else ViewType.ACTIVE_ONLY)

    def named(self, sweep: str) -> list[StoredRun]:
        """Runs that are tagged with the name of a sweep, whichever sweep it was."""
        return self._search(f"tags.sweep = '{sweep}'", ViewType.ACTIVE_ONLY)

    def record(self, run: str) -> StoredRun | None:
        """The run with this id, deleted or not; None where there is none."""
        try:
            return recorded(self.client.get_run(run))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def artifacts(self, run: str) -> set[str]:
        """Names of the files at the top of a run."""
        return {file.path for file in self._artifacts(run).list_artifacts()}

    def pictures(self, run: str) -> list[tuple[str, int, str]]:
        """The pictures of a run: key, step and path, in that order."""
        return pictures(file.path for file in self._artifacts(run).list_artifacts(PICTURES))

    def content(self, run: str, path: str) -> bytes:
        """A file of a run."""
        with tempfile.TemporaryDirectory() as folder:
            return Path(self._artifacts(run).download_artifacts(path, folder)).read_bytes()

    def last(self, run: str) -> dict[str, float]:
        """The last value of every metric of a run."""
        return dict(self.client.get_run(run).data.metrics)

    def history(self, run: str, key: str) -> list[tuple[int, float]]:
        """Steps and values of a metric, in the order of steps."""
        return sorted((metric.step, metric.value) for metric in self.client.get_metric_history(run, names.metric(key)))

    def has_champion(self, name: str) -> bool:
        """Whether the registered model ``name`` has a champion; True also where the tracker does not say."""
        try:
            self.client.get_model_version_by_alias(name, CHAMPION)
        except MlflowException as error:  # of a model that is not there, or of an alias
            return error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
        return True

    def forget(self, id: str, name: str) -> None:
        """Delete a sweep's runs, which MLflow can restore, and the model that bears its name."""
        for record in self.records(id):
            self.discard(record.run)
        with suppress(MlflowException):  # it has none
            self.client.delete_registered_model(name)
        with suppress(MlflowException):
            self.client.delete_experiment_tag(self.experiment, mlflow_pages.VIEW + name)

    def discard(self, run: str) -> None:
        """Delete a run; MLflow can restore it."""
        self.client.delete_run(run)

    def restore(self, run: str = "") -> None:
        """Undo the deletion of a run, and of the experiment if need be; without a run, of the experiment alone."""
        if self.experiment_deleted():
            self.client.restore_experiment(self.experiment)
        record = self.record(run) if run else None
        if record is not None and record.deleted:  # an experiment brings its runs back
            self.client.restore_run(run)

    def pages(self, name: str | None) -> dict[str, str]:
        """The pages of the sweep ``name``, or else of the newest one: of its trials, and its own; UserError without it."""
        return mlflow_pages.pages(self.client, name)

    def _artifacts(self, run: str) -> Any:  # MLflow gives them no types
        uri, location = self.client.tracking_uri, self.client.get_run(run).info.artifact_uri
        return get_artifact_repository(artifact_locations.beside(uri, location), uri)

    def _search(self, filter: str, view: int) -> list[StoredRun]:
        runs: list[StoredRun] = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment], filter, view, 1000, ["attributes.start_time ASC"], token)
            runs += map(recorded, page)
            token = page.token
            if not token:
                return runs

    def _steps(self, run: str) -> dict[str, int]:
        steps = {metric.key: metric.step for metric in self.client.get_run(run).data.to_proto().metrics}
        return steps | {of_picture(key): step for key, step, _ in self.pictures(run)}

    def _name(self, key: str, step: int) -> str:
        """What a number is called in MLflow; Refused where its step cannot be kept."""
        if step not in STEPS:
            raise Refused(f"{key} was said at step {step}, and steps end at {STEPS[-1]}")
        if (name := names.metric(key)) != key:
            self.renamed[key] = name
        return name

    def _find(self, key: str) -> str | None:
        runs = self.client.search_runs([self.experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
        return runs[0].info.run_id if runs else None

    def _files(self, run: str, entries: Sequence[Picture | File], tags: dict[str, str]) -> None:
        """Pictures under the names that the UI reads steps from; made of what the entry holds, so never there twice.

        One by one in their order, the picture itself last: see _steps.
        """
        if not entries:
            return
        with tempfile.TemporaryDirectory() as folder:
            for entry in entries:
                self.guard()
                if isinstance(entry, File):
                    path = Path(folder, Path(entry.path).name)
                    path.write_bytes(entry.content)
                    parent = str(Path(entry.path).parent)
                    self.client.log_artifact(run, str(path), parent if parent != "." else None)
                    continue
                tags["mlflow.loggedImages"] = "True"
                path = Path(folder, f"{names.picture(entry.key)}+step+{entry.step}+timestamp+{entry.at}+{entry.id}")
                small = path.with_name(f"{path.name}+compressed.webp")
                path = path.with_name(f"{path.name}.png")
                if not whole(entry.png):
                    raise Refused(f"the picture {entry.key} of step {entry.step} is damaged")
                path.write_bytes(entry.png)
                with Image.open(path) as picture:
                    compress_image_size(picture).save(small)
                for file in (small, path):
                    self.client.log_artifact(run, str(file), PICTURES)

    def _data(self, run: str, entry: Data) -> None:
        source, profile = json.dumps({"uri": entry.source}), json.dumps(entry.sizes)
        dataset = Dataset(names.data_set(entry.name), entry.digest[:36], "code", source, profile=profile)
        self.client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    @contextmanager
    def _refusing(self, run: str | None) -> Iterator[None]:
        """Tell what MLflow will never take from what it cannot take now."""
        try:
            yield
        except Refused:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0][:300]
            if answers.is_final(error):
                raise Refused(reason, run is not None and self._gone(run)) from error
            failures.mark(error, self.client.tracking_uri)
            if answers.is_later(error):
                raise
            raise Unclear(reason) from error

    def _gone(self, run: str) -> bool:
        record = self.record(run)
        return record is None or record.deleted


def _tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, names.value(value, names.LONGEST_TAG)) for key, value in values.items()]


def _params(values: Mapping[str, str]) -> list[Param]:
    return [Param(key, names.value(value, names.LONGEST_PARAM)) for key, value in values.items()]
