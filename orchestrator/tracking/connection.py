"""Opening the tracker. MLflow is imported here, when it is first needed: the import takes a second."""

import logging
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from orchestrator.errors import UserError
from orchestrator.search import home
from orchestrator.search.spec import Spec
from orchestrator.stores import artifact_locations, creation, failures, opening, read_only, sqlite, urls
from orchestrator.tracking import database
from orchestrator.tracking.stored_run import RunReader

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

Reader = TypeVar("Reader", bound=RunReader)

# MLflow reads these when it is imported. What you set yourself stays.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a server's, at the end of every run
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the courier tries again, and again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
}


def connect(
    uri: str, option: str, experiment: str, parent_run: str = "", sweep: str = "", runs: Sequence[str] = ()
) -> "MlflowStore":
    """The tracker at ``uri``, its tables made, new runs going to ``experiment``; UserError where it cannot be had.

    Below ``parent_run`` the experiment is the one of that run: runs elsewhere would not be shown below it. So it is with the
    ``runs`` of a ``sweep`` that goes on, its own first; UserError where one of them was deleted.
    """
    if runs and sqlite.file(uri) and not _is_made(uri):  # and it is not made: what is missing may be put back
        raise UserError(
            f"{urls.shown(uri)} with the runs of '{sweep}' is gone or empty; put it back, say where it is now "
            f"(`sweep resume {sweep} --tracking-uri URI`), or, if it is lost, have the runs made again: "
            f"`sweep doctor {sweep} --repair`"
        )
    with _opening(uri, option, write=True):
        store = _store(uri)
        for run in runs:
            _there(store, uri, sweep, run)
        if parent_run:
            _follow_parent(store, uri, parent_run)
        elif runs:
            store.follow(runs[0])
        else:
            _find_experiment(store, uri, experiment, make=True)
        return store


def check(uri: str, option: str, experiment: str, parent_run: str = "") -> None:
    """Raise UserError where `connect` would. Nothing is made: no store, no experiment."""
    if sqlite.absent(uri):
        opening.check_place(uri, option)
        if parent_run:
            raise _no_parent(uri, parent_run)
        return
    with _opening(uri, option, write=True):
        store = _store(uri) if _is_made(uri) else None
        if parent_run and store is None:
            raise _no_parent(uri, parent_run)
        if parent_run and store is not None:
            _follow_parent(store, uri, parent_run)
        elif store is not None:
            _find_experiment(store, uri, experiment, make=False)


def _follow_parent(store: "MlflowStore", uri: str, run: str) -> None:
    """New runs go where the run is that `mlflow run` made; UserError where it is not there."""
    record = store.record(run)
    if record is None or record.deleted:
        raise _no_parent(uri, run)
    store.follow(run)


def _no_parent(uri: str, run: str) -> UserError:
    return UserError(
        f"MLFLOW_RUN_ID={run} is no run of {urls.shown(uri)}; `mlflow run` sets this variable, so if you did not use "
        "that, take it away with `unset MLFLOW_RUN_ID`"
    )


def make(uri: str, option: str, experiment: str, artifacts: Path) -> "MlflowStore":
    """A new tracker at ``uri`` with ``experiment``, whose files are put below ``artifacts``; UserError where it cannot be."""
    with _opening(uri, option, write=True):
        store = _store(uri)
        if not store.find_experiment(experiment):  # MLflow's first one is always there
            store.experiment = store.client.create_experiment(experiment, artifact_locations.locate(artifacts / "1"))
        return store


def for_sweep(spec: Spec, parent_run: str = "") -> "MlflowStore":
    """The tracker of a sweep that goes on; see connect."""
    arms = spec.comparison.arms if spec.comparison else ()
    runs = [run for run in (spec.run, *(arm.run for arm in arms)) if run]
    store = connect(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, parent_run, spec.name, runs)
    store.guard = partial(home.check_there, spec)
    return store


def _there(store: "MlflowStore", uri: str, sweep: str, run: str) -> None:
    """UserError where a run of a sweep is not there any more."""
    record = store.record(run)
    if record is None:
        raise UserError(
            f"{urls.shown(uri)} has no run {run[:8]} of '{sweep}' any more; `sweep doctor {sweep} --repair` makes it again"
        )
    if not record.deleted:
        return
    store.follow(run)
    experiment = store.experiment_deleted()
    what = f"experiment '{experiment}'" if experiment else f"run {run[:8]} of '{sweep}'"
    command = f"experiments restore -x {store.experiment}" if experiment else f"runs restore --run-id {run}"
    raise UserError(
        f"the {what} was deleted in MLflow; `sweep doctor {sweep} --repair` restores it, or {_mlflow(uri, command)}"
    )


def _find_experiment(store: "MlflowStore", uri: str, name: str, make: bool) -> None:
    """New runs go to the experiment that MLflow's variables name, else to ``name``; UserError where it was deleted.

    Where there is none it is made, if ``make``.
    """
    id = os.environ.get("MLFLOW_EXPERIMENT_ID", "")
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "") or name
    if id and not store.find_experiment_id(id):
        raise UserError(
            f"MLFLOW_EXPERIMENT_ID={id} is no experiment of {urls.shown(uri)}; unset it, "
            f"or choose one that this lists: {_mlflow(uri, 'experiments search')}"
        )
    if not id and not store.find_experiment(name):
        if not make:
            return
        store.make_experiment(name)
    if deleted := store.experiment_deleted():
        command = _mlflow(uri, f"experiments restore -x {store.experiment}")
        raise UserError(
            f"the experiment '{deleted}' was deleted in MLflow; restore it: {command}, "
            "or by `sweep doctor --repair` where its sweeps are, or use another one: MLFLOW_EXPERIMENT_NAME=NAME"
        )


def _mlflow(uri: str, command: str) -> str:
    """A command of MLflow's own, as it is typed for this store."""
    return f"MLFLOW_TRACKING_URI={shlex.quote(urls.shown(uri))} mlflow {command}"


def find(uri: str, option: str, experiment: str = "", run: str = "") -> "MlflowStore | None":
    """The tracker at ``uri`` as it stands, at the experiment of ``run``, else the named one; None where there is neither.

    Without a name it is at no experiment. Nothing is made. UserError where it cannot be had.
    """
    if sqlite.absent(uri):
        return None
    uri = read_only.readable(uri)
    with _opening(uri, option):
        return _at(_store(uri), experiment, run) if _is_made(uri) else None


def find_reader(uri: str, option: str, experiment: str, run: str) -> "RunReader | None":
    """The same to look at only: read without MLflow where that can be. See find."""
    if sqlite.absent(uri):
        return None
    uri = read_only.readable(uri)
    with _opening(uri, option):
        if not _is_made(uri):
            return None
        return _at(database.open_database(uri, lambda: _store(uri)) or _store(uri), experiment, run)


def open_store(uri: str, option: str) -> "MlflowStore":
    """The tracker at ``uri``, to look at any experiment; UserError where it cannot be had."""
    uri = read_only.readable(uri)
    with _opening(uri, option):
        return _store(uri)


def unreachable() -> tuple[type[Exception], ...]:
    """The errors of opening a tracker that is out of reach and of reading from it, for an ``except`` clause."""
    from orchestrator.tracking.mlflow_store import AWAY

    return UserError, *AWAY


def _at(reader: Reader, experiment: str, run: str) -> Reader | None:
    """The reader at the experiment of ``run``, else the named one; None where there is neither. See find."""
    if run and reader.record(run) is not None:
        reader.follow(run)
        return reader
    return reader if not experiment or reader.find_experiment(experiment) else None


def _store(uri: str) -> "MlflowStore":
    """Import MLflow, quiet and quick to give up; the store at an address, its tables made."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from orchestrator.tracking.mlflow_store import MlflowStore

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # What it logs it raises as well, with a traceback of a full disk for each try: the courier tells it in a sentence.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if _is_database(uri):
        creation.ensure(uri, SCHEMA)
    return MlflowStore(uri, "")


def _make_tables(uri: str) -> None:
    from orchestrator.tracking import mlflow_tables

    mlflow_tables.make(uri)


def _revision() -> str:
    from orchestrator.tracking import mlflow_tables

    return mlflow_tables.revision()


SCHEMA = creation.Schema(
    "runs", _make_tables, _revision
)  # of MLflow's database, which a store with runs is not asked for


def _is_made(uri: str) -> bool:
    return not _is_database(uri) or creation.is_made(uri, SCHEMA)


def _is_database(uri: str) -> bool:
    return "://" in uri and not urls.is_http(uri) and not uri.startswith("file:")


@contextmanager
def _opening(uri: str, option: str, write: bool = False) -> Iterator[None]:
    """Say any failure of opening a tracker, to read it or to ``write`` to it, as a UserError that names ``option``."""
    if _is_database(uri):
        opening.check(uri, option, opening.MLFLOW, write)
    try:
        yield
    except Exception as error:  # a store may fail in as many ways as there are stores
        raise failures.failure(uri, option, error) from None
