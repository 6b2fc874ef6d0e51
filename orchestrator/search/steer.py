"""What is asked of a sweep that stands: to go on, another total, a configuration to try; checked before it is done."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.data import dataset as datasets
from models.data import kinds
from orchestrator.errors import UserError
from orchestrator.search import book as books
from orchestrator.search import combinations, plan, trained
from orchestrator.search.proposals import base
from orchestrator.search.spec import Drift, Pruner, Sampler, SearchChange, Spec, current
from studies.parts import space as _space
from studies.parts.study import Study, StudyError


def resumed(
    book: books.Book,
    trials: int | None = None,
    accept_drift: bool = False,
    sampler: Sampler | None = None,
    pruner: Pruner | None = None,
) -> dict[str, Any]:
    """What of a sweep's spec changes when it goes on: its total, what has drifted, its sampler, its pruner.

    Nothing is stored here: who drives the sweep does that, when nothing can be refused any more. UserError where study or data
    have drifted, or where the sampler or the pruner does not fit the study. Trials asked before an accepted drift keep the
    settings that they began with.
    """
    name = book.spec.name
    if trials is not None:
        refuse_total(book, trials)
    try:
        now = current(book.spec)
        study = now.load_study()
        configs = plan.configs_of(study, now.base, now.comparison, now.fixed)
        data = kinds.load(book.spec.data, Path(book.spec.data_folder), study.data_kind)
        now = now.model_copy(update={"data_digest": data.digest})
    except datasets.DataError as error:
        raise UserError(f"sweep '{name}' cannot go on: {error}") from None
    except (StudyError, ValidationError) as error:
        raise UserError(f"sweep '{name}' cannot go on, its study cannot be used: {error}") from None
    changed = now.same_search(book.spec)
    if changed and not accept_drift:
        what = f"its data {book.spec.data} have" if now.data_digest != book.spec.data_digest else "its study has"
        raise UserError(
            f"sweep '{name}' cannot go on, {what} changed since: {changed}; start a new sweep, or say --accept-drift"
        )
    if changed:
        stuck = book.spec.incompatible(now)
        if stuck:
            raise UserError(f"sweep '{name}' cannot go on even so, for its trials could not be compared: {stuck}")
    left = (trials or book.total()) > len(book.finished())  # else its figures may be made without it
    if left and (absent := trained.absent(study, now.base, now.model_digest)):
        raise UserError(f"sweep '{name}' cannot go on: {absent}; {trained.PUT_BACK}, or start a new sweep")
    choices = _choices(book, now, study, sampler, pruner)
    try:  # last, for it may wait for torch
        plan.check(study, configs.items(), data)
    except datasets.DataError as error:
        raise UserError(f"sweep '{name}' cannot go on: {error}") from None
    changes: dict[str, Any] = {} if trials is None else {"trials": trials}
    if changed:
        drift = Drift(before=len(book.trials()), base=book.spec.base, what=changed)
        changes |= {"base": now.base, "space": now.space, "data_digest": now.data_digest}
        changes["drifts"] = [*book.spec.drifts, drift]
    return changes | choices


def _choices(
    book: books.Book, now: Spec, study: Study[Any, Any], sampler: Sampler | None, pruner: Pruner | None
) -> dict[str, Any]:
    """What changes in the spec by another sampler or pruner; UserError where one of them does not fit, or the sweep's own."""
    spec = book.spec
    if spec.comparison:
        if sampler or pruner:
            raise UserError(f"'{spec.name}' is a comparison: its arms are what it tries, with no sampler and no pruner")
        return {}
    asked = combinations.problem(now, study)
    if sampler is None and (blocked := combinations.blocked(now, study)):
        raise UserError(f"sweep '{spec.name}' cannot go on: {blocked}")
    misfits = [
        combinations.sampler_misfit(sampler, asked) if sampler else None,
        combinations.pruner_misfit(pruner, asked) if pruner else None,
    ]
    for misfit in misfits:
        if misfit:
            raise UserError(str(misfit))
    chosen = {"sampler": sampler or spec.sampler, "pruner": pruner or spec.pruner}
    if chosen == {"sampler": spec.sampler, "pruner": spec.pruner}:
        return {}
    # A trial that was left before it had parameters gets them from the sampler that is asked now.
    everything = book.trials()
    first = min([trial.number for trial in everything if not (trial.params or trial.finished)], default=len(everything))
    change = SearchChange(before=first, sampler=spec.sampler, pruner=spec.pruner)
    recorded = first == 0 or any(earlier.before == first for earlier in spec.changes)
    return {**chosen, "changes": spec.changes if recorded else [*spec.changes, change]}


def refuse_total(book: books.Book, trials: int) -> None:
    """UserError where the sweep has more than ``trials`` already, finished or begun."""
    begun = len(book.trials_running())
    count = len(book.finished()) + begun
    if trials < max(1, count):
        how = "finished or begun" if begun else "finished"
        raise UserError(f"--trials {trials} is the sweep's total and {count} are {how} already; give {count} or more")


def refuse_skip(book: books.Book, number: int) -> None:
    """UserError where no trial of this number runs."""
    running = [trial.number for trial in book.trials_running()]
    if number not in running:
        listed = f"these do: {', '.join(map(str, running))}" if running else "none does"
        raise UserError(f"trial {number} of '{book.spec.name}' does not run; {listed}")


def configuration(book: books.Book, texts: Sequence[str]) -> dict[str, Any]:
    """Pairs of parameter and value as a configuration of the sweep's space; UserError for what lies outside."""
    if book.spec.comparison:
        raise UserError(f"'{book.spec.name}' is a comparison: its arms are what it tries; `sweep run` searches")
    space = book.spec.parameters()
    chosen: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"{text} has no value; write {name}=VALUE")
        if name not in space:
            raise UserError(f"{name}: sweep '{book.spec.name}' does not search it; it searches {', '.join(space)}")
        if name in chosen:
            raise UserError(
                f"{text}: {name} has a value already, {chosen[name]}; give one, and enqueue the other after it"
            )
        try:
            chosen[name] = space[name].parse(name, value)
        except StudyError as error:
            raise UserError(str(error)) from None
    try:
        if reason := _space.unreachable(book.spec.space_of(book.study), base(book.spec, book.study), chosen):
            raise UserError(reason)
    except (StudyError, ValidationError):  # its file is gone or has changed, which `sweep resume` says
        pass
    return chosen


def already(book: books.Book, params: Mapping[str, Any]) -> str:
    """Which trial has tried this configuration, as the beginning of a sentence; '' where none has."""
    whole = {**book.spec.fixed, **params}
    numbers = [str(trial.number) for trial in book.finished() if trial.params == whole]
    return f"trial {numbers[-1]} has tried this already; " if numbers else ""
