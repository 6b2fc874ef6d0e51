"""Optuna's storage: which one is meant, and how it is opened."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import optuna
import sqlalchemy
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.study.study import _SYSTEM_ATTR_METRIC_NAMES as METRIC_NAMES
from optuna.trial import TrialState
from sqlalchemy.orm import Session

from orchestrator.stores import creation, cuts, failures, opening, read_only, sqlite, urls
from orchestrator.stores.creation import Schema
from orchestrator.stores.trial_cache import TrialCache


class PersistentStorage(RDBStorage):
    """Optuna's storage, each of whose methods is a transaction that is repeated where its connection was cut."""

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """See RDBStorage. Where an answer was cut off, it may be done already: only one process tells the trials of a sweep."""
        for times in count(1):
            try:
                return super().set_trial_state_values(trial_id, state, values) or times > 1
            except UpdateFinishedTrialError:
                if times > 1 and self.get_trial(trial_id).state == state:
                    return True
                raise
            except UNWRITABLE as error:
                cuts.again(error, times)
        raise AssertionError


REPEATED = (
    *("get_all_studies", "get_all_trials", "get_n_trials", "get_study_directions", "get_study_id_from_name"),
    *("get_study_name_from_id", "get_study_system_attrs", "get_study_user_attrs", "get_trial", "get_trial_params"),
    *("get_trial_id_from_study_id_trial_number", "get_trial_number_from_id", "get_trial_param", "_get_trials"),
    *("set_study_system_attr", "set_study_user_attr", "set_trial_intermediate_value", "set_trial_param"),
    *("set_trial_system_attr", "set_trial_user_attr", "get_trial_system_attrs", "get_trial_user_attrs"),
    *("delete_study", "_create_new_trial", "_set_trial_param"),
)
for _name in REPEATED:
    setattr(PersistentStorage, _name, cuts.repeated(getattr(RDBStorage, _name)))

Storage = RDBStorage  # where sweeps are kept: other files need no word of Optuna
DEFAULT_STORAGE = "sqlite:///sweeps.db"
UNWRITABLE = (
    StorageInternalError,
    sqlalchemy.exc.OperationalError,
)  # what writing raises where the storage takes no more
FAILURES = (
    StorageInternalError,
    sqlalchemy.exc.SQLAlchemyError,
    RuntimeError,
    ImportError,
    ValueError,
    OSError,
)  # what opening raises


MEMORY = ":memory:"  # where an empty storage is that stands for one that is not made


def _make(url: str) -> None:
    RDBStorage(url).engine.dispose()


SCHEMA = Schema("studies", _make, lambda: "")  # Optuna writes its revision when all else is made


def meant(url: str | None, create: bool = False) -> Storage:
    """The storage that is meant: at ``url``, else where SWEEP_STORAGE says, else sweeps.db in this folder. See connect."""
    return connect(*address(url), create=create)


def address(url: str | None) -> tuple[str, str]:
    """The address of the storage that is meant, and the option or variable that gives it."""
    if url and url.strip():
        return urls.public(urls.typed(url, "--storage", DEFAULT_STORAGE), "--storage"), "--storage"
    # Read here, not by click: `mlflow run` passes an empty --storage, which must not hide the variable.
    text = os.environ.get("SWEEP_STORAGE", "").strip()
    return urls.typed(text or DEFAULT_STORAGE, "SWEEP_STORAGE", DEFAULT_STORAGE), "SWEEP_STORAGE"


def connect(url: str, option: str = "--storage", create: bool = True) -> Storage:
    """The storage at ``url``, its tables made; UserError where it cannot be had.

    Where nothing is there, or half of it, and it is not to be created, an empty storage in memory with its address: there is
    nothing to see. One that may only be read is opened to read, unless it were to be created.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = sqlite.file(url)
    if not create:
        if file is None:
            opening.check(url, option, opening.OPTUNA)
        if not creation.is_made(url, SCHEMA):
            return empty(url)
        if file is not None and read_only.is_read_only(file):
            return _open(url, option, {"creator": partial(read_only.connect, file)})
    opening.check(url, option, opening.OPTUNA, write=create)
    # A connection that a server or a firewall has cut meanwhile is noticed and made anew.
    settings: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        settings["connect_args"] = {"timeout": sqlite.WAIT_SECONDS}  # while the tables are made, too
    try:
        creation.ensure(url, SCHEMA)
    except FAILURES as error:
        raise failures.failure(url, option, error) from None
    storage = _open(url, option, settings)
    sqlite.prepare(storage.engine)
    return storage


def empty(url: str) -> Storage:
    """A storage in memory, with the address of one in which there is nothing."""
    storage = RDBStorage(f"sqlite:///{MEMORY}")
    storage.url = url
    return storage


def reopened(storage: Storage, create: bool = True) -> Storage:
    """The same; where it was empty and in memory, or opened to read, the one that is at its address now. See connect."""
    file = sqlite.file(storage.url)
    if storage.engine.url.database == MEMORY or create and file is not None and read_only.is_read_only(file):
        return connect(storage.url, create=create)
    return storage


def _open(url: str, option: str, settings: dict[str, Any]) -> Storage:
    try:
        storage = PersistentStorage(url, engine_kwargs=settings)
    except FAILURES as error:
        raise failures.failure(url, option, error) from None
    failures.trace(storage.engine)
    return storage


def study_names(storage: Storage) -> set[str]:
    """The names of all studies, those of other programs among them."""
    return {study.study_name for study in storage.get_all_studies()}


def load_study(storage: Storage, name: str) -> optuna.Study:
    """The study ``name``. It has no pruner yet: one with two objectives must not warn that its pruner is ignored."""
    return optuna.load_study(study_name=name, storage=TrialCache(storage), pruner=optuna.pruners.NopPruner())


def hold(study: optuna.Study, trial: optuna.Trial) -> None:
    """This process alone writes to the trial from now on: see TrialCache. The study is one that was loaded here."""
    if isinstance(study._storage, TrialCache):
        study._storage.hold(study._study_id, trial._trial_id)


def release(study: optuna.Study) -> None:
    """This process runs none of its trials any more."""
    if isinstance(study._storage, TrialCache):
        study._storage.release()


def engine_of(study: optuna.Study) -> sqlalchemy.Engine:
    """What connects to the storage of a study."""
    storage: Any = study._storage
    engine: sqlalchemy.Engine = getattr(storage, "_backend", storage).engine  # Optuna puts its cache before it
    return engine


class NameTaken(Exception):
    """A storage has a study of that name already."""


def add_study(
    storage: Storage, name: str, objectives: Sequence[tuple[str, str]], attributes: Mapping[str, Any]
) -> None:
    """Add a study, with its user attributes, in one transaction; NameTaken where there is one of that name.

    ``objectives`` are names with directions. Optuna's own functions take a transaction for each part of a study: a
    process killed in between would leave one that nobody can use.
    """
    directions = [
        models.StudyDirectionModel(objective=number, direction=StudyDirection[direction.upper()])
        for number, (_, direction) in enumerate(objectives)
    ]
    metrics = json.dumps([metric for metric, _ in objectives])
    study = models.StudyModel(
        study_name=name,
        directions=directions,
        user_attributes=[
            models.StudyUserAttributeModel(key=key, value_json=json.dumps(value)) for key, value in attributes.items()
        ],
        system_attributes=[models.StudySystemAttributeModel(key=METRIC_NAMES, value_json=metrics)],
    )
    try:
        with Session(storage.engine) as session, session.begin():
            session.add(study)
    except sqlalchemy.exc.IntegrityError:
        raise NameTaken(name) from None


def unwritable(error: Exception) -> str:
    """One of UNWRITABLE in a sentence."""
    return f"the storage cannot be written: {failures.of_store(error) or error}"
