"""A sweep of the ebm study with thousands of finished trials, made in seconds."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial

from orchestrator.messages import Ended
from orchestrator.search import book as books
from orchestrator.search import plan
from orchestrator.search.options import request
from orchestrator.search.spec import Spec

CHUNK = 500  # in memory, too, a sweep becomes slower as it grows


def spec(trials: int) -> Spec:
    """What ``sweep run ebm`` resolves to."""
    return plan.resolve(request("ebm", name="benchmark", trials=trials), RDBStorage("sqlite:///:memory:"))


def value(number: int, index: int) -> float:
    """The objective of a trial at its ``index``-th report, falling with noise: so pruners have something to compare."""
    chance = random.Random(f"{number} {index}")
    return 100 / index * chance.uniform(0.5, 1.5)


def fill(storage: RDBStorage, book: books.Book, size: int) -> None:
    """Give a new sweep ``size`` finished trials, a third of them pruned: what our book writes, copied row by row."""
    for first in range(0, size, CHUNK):
        trials = _played(book.spec, first, min(CHUNK, size - first))
        _insert(storage, book.optuna_study._study_id, first, trials)


def _played(spec: Spec, seed: int, n: int) -> list[FrozenTrial]:
    """``n`` trials chosen by chance, told by a book whose storage is in memory."""
    spec = spec.model_copy(update={"sampler": "random", "pruner": "none", "seed": seed})
    book = books.Book(optuna.create_study(), spec)
    for _ in range(n):
        number = book.ask().number
        pruned = number % 3 == 2
        reports = [value(seed + number, index) for index in range(1, 4 if pruned else 6)]
        book.launched(number, f"{seed + number:032x}")
        for index, reported in enumerate(reports, 1):
            book.report(number, index, (reported,))
        end = Ended("pruned" if pruned else "complete", (reports[-1],), seconds=1.0)
        book.tell(number, end)
    return book.optuna_study.get_trials()


def _insert(storage: RDBStorage, study: int, first: int, trials: Sequence[FrozenTrial]) -> None:
    """As rows, in one transaction: Optuna's own way takes one a trial, and minutes for thousands."""
    rows: dict[type[models.BaseModel], list[dict[str, Any]]] = defaultdict(list)
    table = models.TrialModel.__table__
    with storage.engine.begin() as connection:
        columns = ("state", "datetime_start", "datetime_complete")
        made = [{name: getattr(trial, name) for name in columns} | {"study_id": study} for trial in trials]
        connection.execute(table.insert(), [row | {"number": first + index} for index, row in enumerate(made)])
        wanted = sqlalchemy.select(table.c.trial_id).where(table.c.study_id == study, table.c.number >= first)
        ids = connection.execute(wanted.order_by(table.c.number)).scalars()
        for trial, trial_id in zip(trials, ids, strict=True):
            for model, row in _rows(trial):
                rows[model].append(row | {"trial_id": trial_id})
        for model, some in rows.items():
            connection.execute(model.__table__.insert(), some)


def _rows(trial: FrozenTrial) -> Iterator[tuple[type[models.BaseModel], dict[str, Any]]]:
    """What stands of a trial in each of the tables."""
    for index, value in enumerate(trial.values):
        yield models.TrialValueModel, {"objective": index, "value": value, "value_type": "FINITE"}
    for step, value in trial.intermediate_values.items():
        row = {"step": step, "intermediate_value": value, "intermediate_value_type": "FINITE"}
        yield models.TrialIntermediateValueModel, row
    for name, distribution in trial.distributions.items():
        number, text = distribution.to_internal_repr(trial.params[name]), distribution_to_json(distribution)
        yield models.TrialParamModel, {"param_name": name, "param_value": number, "distribution_json": text}
    for model, attributes in (
        (models.TrialUserAttributeModel, trial.user_attrs),
        (models.TrialSystemAttributeModel, trial.system_attrs),
    ):
        for key, value in attributes.items():
            yield model, {"key": key, "value_json": json.dumps(value)}
