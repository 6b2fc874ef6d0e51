"""From what a user typed to what will be done: every value is checked here, before anything is started."""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

import studies
from models.data import dataset as datasets
from models.hints import did_you_mean
from orchestrator import devices
from orchestrator.devices import Resources
from orchestrator.errors import UserError
from orchestrator.layout import RESERVED, SWEEPS
from orchestrator.search import book as books
from orchestrator.search import factorial
from orchestrator.search import trained as pretrained
from orchestrator.search.spec import PRUNERS, SAMPLERS, Drift, Spec, current, parse_fixed
from orchestrator.stores import sqlite
from orchestrator.stores import urls as address
from orchestrator.stores.optuna_storage import Storage
from orchestrator.text import program
from studies.parts import space as _space
from studies.parts.study import Study, StudyError


@dataclass(frozen=True)
class Options:
    """What `sweep run` or `sweep compare` was given; None where it was not."""

    study: str
    name: str | None = None
    trials: int | None = None
    data: str | None = None  # digits, or what the model was trained on
    model: str | None = None  # a trained network, where the study begins with one
    data_folder: str = "data"
    set: Sequence[str] = ()
    fix: Sequence[str] = ()
    vary: Sequence[str] = ()  # fields with their values, where it is a comparison
    seeds: int = 5  # of each arm of it
    race: bool = False
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = 0
    deterministic: bool = False
    tracking_uri: str | None = None
    command: str | None = None  # what asks for the same in a terminal, where this is none


def without_empty(arguments: Sequence[str]) -> list[str]:
    """Without options that are said to be nothing, as `mlflow run` passes those that nobody gave."""
    found: list[str] = []
    for argument in arguments:
        if not argument and found and found[-1].startswith("--"):
            found.pop()
        else:
            found.append(argument)
    return found


def version() -> str:
    """The version of this program."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("generative-sweeps")
    except PackageNotFoundError:
        return "source"


def resolve(options: Options, storage: Storage) -> Spec:
    """The sweep that ``options`` ask for; raises UserError for anything in them that cannot be."""
    try:
        study = studies.load(options.study)
    except StudyError as error:
        raise UserError(str(error)) from None
    model, trained_on = _model(options, study, storage)
    data_name = options.data or trained_on or study.data
    stem = Path(options.study).stem + ("-compared" if options.vary else "")
    name = options.name or books.fresh_name(storage, stem, data_name.partition(":")[0])
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or name in RESERVED:
        raise UserError(f"--name '{name}' cannot be a name; use letters, digits, dots, dashes and underscores")
    try:
        reader = datasets.Reader(data_name, Path(options.data_folder))
        base = study.base(reader.shape).model_copy(update=model)
        comparison = factorial.full(_vary(options.vary, base), options.race) if options.vary else None
        searched = {} if comparison else _space.describe(study.space, base)
        held = "it is what is compared" if comparison else "the study searches {key}; hold it with --fix {key}={value}"
        changed = _overrides(options.set, base, comparison.vary if comparison else searched, held)
        base = _validated(study.config, base.model_dump() | changed)
        configs = _configs(study, base.model_dump(), comparison)
        fixed = dict(parse_fixed(text, searched) for text in options.fix)
        space = _space.describe(comparison.space if comparison else _space.fix(study.space, fixed), base)
    except (StudyError, datasets.DataError) as error:
        raise UserError(str(error)) from None
    for option, value, known in (("sampler", options.sampler, SAMPLERS), ("pruner", options.pruner, PRUNERS)):
        if value not in known:
            raise UserError(f"--{option} {value}: there are {', '.join(known)}")
    if options.deterministic and options.pruner not in ("median", "none"):
        raise UserError(
            f"--deterministic cannot prune by {options.pruner}, which looks at trials that run; take median or none"
        )
    if options.trials is not None and options.trials < 1:
        raise UserError(f"--trials {options.trials}: a sweep has at least one trial")
    spec = Spec(
        name=name,
        study=options.study,
        question=" ".join(study.question.split()),
        objectives=[(objective.key, objective.direction) for objective in study.objectives],
        data=data_name,
        data_digest="",
        data_folder=str(Path(options.data_folder).absolute()),
        image_shape=reader.shape,
        base=base.model_dump(mode="json"),
        set={key: base.model_dump(mode="json")[key] for key in [*model, *changed]},
        fixed=fixed,
        space={name: parameter.asdict() for name, parameter in space.items()},
        sampler="grid" if comparison else options.sampler,
        pruner="none" if comparison else options.pruner,
        seed=options.seed,
        deterministic=options.deterministic,
        folder=str(Path(SWEEPS, name).absolute()),
        tracking_uri=_tracking_uri(options.tracking_uri, str(storage.url)),
        version=version(),
        command=options.command or f"{program()} {shlex.join(without_empty(sys.argv[1:]))}",
        trials=len(comparison.arms) * options.seeds if comparison else options.trials or study.trials,
        comparison=comparison,
    )
    if stored := books.find(storage, name):
        _refuse_another(spec.model_copy(update={"data_digest": stored.data_digest}), stored)
    try:  # last, for it may wait for torch
        data = reader.load()
        _check(study, configs, data)
    except datasets.DataError as error:
        raise UserError(str(error)) from None
    return spec.model_copy(update={"data_digest": data.digest})


def settle(spec: Spec, storage: Storage) -> books.Book | None:
    """The sweep of that name, where it stands already with the same search; None where the name is free.

    UserError where the name belongs to something else.
    """
    stored = books.find(storage, spec.name)
    if stored is None:
        return None
    _refuse_another(spec, stored)
    return books.load(storage, spec.name)


def _refuse_another(spec: Spec, stored: Spec) -> None:
    """UserError where ``stored``, the sweep of the same name, is not the same search."""
    if stored.study != spec.study:
        raise UserError(f"sweep '{spec.name}' exists and asks another study, {stored.study}; choose another --name")
    differing = spec.same_search(stored)
    if differing:
        raise UserError(f"sweep '{spec.name}' exists with other settings: {differing}; choose another --name")


def resumed(storage: Storage, name: str, trials: int | None, accept_drift: bool = False) -> books.Book:
    """The sweep ``name`` with a new total, if any; UserError where there is none, or where study or data have drifted.

    An accepted drift is kept with the sweep: trials asked before it keep the settings that they began with.
    """
    book = books.load(storage, name)
    if trials is not None:
        _refuse_total(book, trials)
    try:
        now = current(book.spec)
        study = studies.load(now.study)
        configs = _configs(study, now.base, now.comparison)
        data = datasets.load(book.spec.data, Path(book.spec.data_folder))
        now = now.model_copy(update={"data_digest": data.digest})
    except datasets.DataError as error:
        raise UserError(f"sweep '{name}' cannot go on: {error}") from None
    except (StudyError, ValidationError) as error:
        raise UserError(f"sweep '{name}' cannot go on, its study has changed: {error}") from None
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
    try:  # last, for it may wait for torch
        _check(study, configs, data)
    except datasets.DataError as error:
        raise UserError(f"sweep '{name}' cannot go on: {error}") from None
    if changed:
        drift = Drift(before=len(book.trials()), base=book.spec.base, what=changed)
        book.update(base=now.base, space=now.space, data_digest=now.data_digest, drifts=[*book.spec.drifts, drift])
    if trials is not None:
        total(book, trials)
    return book


def total(book: books.Book, trials: int) -> None:
    """Give the sweep another total; UserError where it has more trials already."""
    _refuse_total(book, trials)
    if trials != book.spec.trials:
        book.update(trials=trials)


def _refuse_total(book: books.Book, trials: int) -> None:
    done = len(book.finished())
    if trials < max(1, done):
        raise UserError(f"--trials {trials} is the sweep's total and {done} are finished already; give {done} or more")


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
        try:
            chosen[name] = space[name].parse(name, value)
        except StudyError as error:
            raise UserError(str(error)) from None
    return chosen


def room(spec: Spec, device: str | None, workers: int | None) -> Resources:
    """Where its trials run: as many at a time as the machine has room for, or as the study plays together."""
    together = studies.load(spec.study).together
    at_a_time = 1 if workers == 0 else workers or (together if together > 1 else None)
    return devices.resolve(device or "auto", at_a_time, spec.trials)


def _tracking_uri(given: str | None, storage: str) -> str:
    """Where MLflow is: stored with the sweep and shown, so without a password. Elsewhere than Optuna's ``storage``."""
    option = "--tracking-uri" if given else "MLFLOW_TRACKING_URI"
    uri = sqlite.absolute(address.public(given or address.tracking(), option))
    if address.same(uri, sqlite.absolute(storage)):
        raise UserError(f"{option}={uri} is the database of --storage as well; MLflow and Optuna need one each")
    return uri


def _overrides(texts: Sequence[str], base: BaseModel, space: Mapping[str, Any], held: str) -> dict[str, Any]:
    """The pairs of --set as fields and texts; see _meant. ``held`` says why one of ``space`` cannot be."""
    fields = type(base).model_fields
    changed: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text} has no value; write --set {key}=VALUE")
        if key in space:
            raise UserError(f"--set {key}: {held.format(key=key, value=value)}")
        if key not in fields:
            known = [name for name in fields if name not in space]
            raise UserError(f"--set {key}: no such setting; {did_you_mean(key, known)}there are: {', '.join(known)}")
        changed[key] = _meant(value, _field(fields[key]))
    return changed


def _field(info: FieldInfo) -> TypeAdapter[Any]:
    kind: Any = Annotated[info.annotation, info]
    return TypeAdapter(kind)


def _meant(text: str, field: TypeAdapter[Any]) -> str | None:
    """What was typed; None for "none" where the setting may be that, for some have a choice of this name."""
    if text.lower() != "none":
        return text
    try:
        field.validate_python(None)
    except ValidationError:
        return text
    return None


def _model(options: Options, study: Study[Any, Any], storage: Storage) -> tuple[dict[str, Any], str]:
    """Where the trained network is, if the study wants one, with the settings that it was trained with; and its data."""
    if not study.model_of:
        if options.model:
            raise UserError(f"--model {options.model}: the study {options.study} trains its own networks")
        return {}, ""
    if not options.model:
        raise UserError(
            f"{options.study} needs a trained network; say --model champion, a sweep of {' or '.join(study.model_of)}, "
            "SWEEP/TRIAL, or the MLflow run of a trial"
        )
    folder, trained_on = pretrained.find(options.model, study.model_of, storage)
    trained = pretrained.config(folder)
    shared = {name: trained[name] for name in study.config.model_fields if name in trained}
    return {"model": str(folder)} | shared, trained_on


def _vary(texts: Sequence[str], base: BaseModel) -> dict[str, list[Any]]:
    """``field=value,value`` as fields and their values; UserError for what cannot be compared."""
    fields = type(base).model_fields
    vary: dict[str, list[Any]] = {}
    for text in texts:
        key, _, listed = text.partition("=")
        given = [value for value in re.split(r"[\s,]+", listed) if value]
        if len(given) < 2:
            raise UserError(f"--vary {text}: nothing to compare; write --vary {key}=VALUE,VALUE")
        if key not in fields:
            raise UserError(f"--vary {key}: no such setting; {did_you_mean(key, fields)}there are: {', '.join(fields)}")
        field = _field(fields[key])
        try:
            values = [field.validate_python(_meant(value, field)) for value in given]
        except ValidationError as error:
            raise UserError(f"--vary {text}: {_space.sentence(error)}") from None
        if len(set(values)) < len(values) or key in vary:
            raise UserError(f"--vary {text}: each setting once, with different values")
        vary[key] = values
    return vary


def _configs(
    study: Study[Any, Any], base: dict[str, Any], comparison: factorial.Comparison | None
) -> dict[str, BaseModel]:
    """The recipe, or each arm of the comparison, by what a refusal of it begins with; UserError for settings that cannot be."""
    arms = {f"the arm {arm.name} cannot work: ": arm.settings for arm in comparison.arms} if comparison else {"": {}}
    return {what: _validated(study.config, base | settings, what) for what, settings in arms.items()}


def _check(study: Study[Any, Any], configs: Mapping[str, BaseModel], data: datasets.Data) -> None:
    """Raises DataError where one of ``configs`` cannot work on these data."""
    for what, config in configs.items():
        try:
            study.check(config, data)
        except ValueError as error:
            raise datasets.DataError(f"{what}{error}") from None


def _validated(config: type[BaseModel], values: Mapping[str, Any], what: str = "--set ") -> BaseModel:
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{what}{_space.sentence(error)}") from None
