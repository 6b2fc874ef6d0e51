"""A sweep's Optuna study in another storage. The copy is no sweep until it is published, in one transaction."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.storages._rdb import models
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from orchestrator.errors import UserError
from orchestrator.renaming import Renaming
from orchestrator.search import trials
from orchestrator.search.book import DRIVER, SPEC, Book
from orchestrator.stores.optuna_storage import Storage


def make(
    book: Book,
    storage: Storage,
    title: str,
    renaming: Renaming,
    notes: Mapping[str, Any],
    on_trial: Callable[[], None],
) -> None:
    """Copy the sweep's study to ``storage`` as ``title``: every trial in its state, with its number, attributes and dates.

    What is kept with the study is copied as well, but not its Spec, nor who drove it; ``notes`` take the place of some.
    """
    source, study_id = book.optuna_study._storage, book.optuna_study._study_id
    copy = storage.create_new_study(source.get_study_directions(study_id), title)
    for key, value in source.get_study_system_attrs(study_id).items():
        storage.set_study_system_attr(copy, key, renaming.in_json(value))
    for key, value in {**source.get_study_user_attrs(study_id), **notes}.items():
        if key not in (SPEC, DRIVER):
            storage.set_study_user_attr(copy, key, renaming.in_json(value))
    for trial in sorted(source.get_all_trials(study_id, deepcopy=False), key=lambda trial: trial.number):
        storage.create_new_trial(copy, trials.renamed(trial, renaming))
        on_trial()


def publish(storage: Storage, title: str, name: str, spec: Mapping[str, Any]) -> None:
    """Make the copy ``title`` the sweep ``name``, with its stored ``spec``, at once.

    UserError where a sweep or study of this name has been made meanwhile.
    """
    study_id = storage.get_study_id_from_name(title)
    engine: Engine = storage.engine
    try:
        with Session(engine) as session, session.begin():
            study = session.get_one(models.StudyModel, study_id)
            study.study_name = name
            text = json.dumps(spec)
            session.add(models.StudyUserAttributeModel(study_id=study_id, key=SPEC, value_json=text))
    except IntegrityError:
        raise UserError(f"a sweep '{name}' has just been made here; choose another --name") from None


def discard(storage: Storage, title: str) -> None:
    """Remove the copy ``title``, if it is there and not published."""
    if title in {study.study_name for study in storage.get_all_studies()}:
        optuna.delete_study(study_name=title, storage=storage)
