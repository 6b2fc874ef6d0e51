"""How trials ended, when they ran, and which MLflow run each has."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from optuna.trial import FrozenTrial

from orchestrator.delivery.outbox import run_id
from orchestrator.layout import trial_folder
from orchestrator.messages import Outcome
from orchestrator.search.book import Book
from orchestrator.search.spec import Spec


def of(trial: FrozenTrial) -> Outcome:
    """How a finished trial ended; by its state where it was told by other hands than ours."""
    told = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
    return cast(Outcome, trial.user_attrs.get("outcome", told))


class Lived(NamedTuple):
    """A finished trial: when it began and ended, in seconds of any clock, and how."""

    number: int
    began: float
    ended: float
    outcome: str


def lived(book: Book) -> list[Lived]:
    """When the finished trials of a sweep ran."""
    return [
        Lived(trial.number, trial.datetime_start.timestamp(), trial.datetime_complete.timestamp(), of(trial))
        for trial in book.finished()
        if trial.datetime_start and trial.datetime_complete
    ]


def at_work(trials: Sequence[Lived]) -> list[Lived]:
    """The same trials by a clock that stands still while none of them runs: from 0, in seconds."""
    moved, shift, until = [], 0.0, None
    for one in sorted(trials, key=lambda one: one.began):
        if until is None or one.began > until:
            shift += one.began - (until if until is not None else 0.0)
            until = one.began
        until = max(until, one.ended)
        moved.append(one._replace(began=one.began - shift, ended=one.ended - shift))
    return moved


def run_of(spec: Spec, trial: FrozenTrial) -> str:
    """The MLflow run of a trial; '' where none is known."""
    return run_id(trial_folder(spec.folder, trial.number)) or trial.user_attrs.get("run") or ""
