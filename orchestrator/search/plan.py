"""From what a user typed to what will be done: every value is checked here, before anything is started."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

import studies
from models.data import dataset as datasets
from models.data import kinds
from models.hints import did_you_mean
from orchestrator.errors import UserError
from orchestrator.layout import SWEEPS
from orchestrator.search import book as books
from orchestrator.search import combinations, factorial, trained
from orchestrator.search.capabilities import DEFAULT_PRUNER
from orchestrator.search.new_sweep import check_name, fresh_name
from orchestrator.search.options import Request
from orchestrator.search.spec import Spec, parse_fixed
from orchestrator.stores import checkpoint_store, sqlite, urls
from orchestrator.stores.optuna_storage import Storage
from orchestrator.text import version
from studies.parts import space as _space
from studies.parts import typed
from studies.parts.study import Study, StudyError


def resolve(request: Request, storage: Storage, read: bool = True) -> Spec:
    """The sweep that is asked for; UserError for anything in it that cannot be. Data that are not ``read`` are not judged."""
    options = request.options
    try:
        study = studies.load(request.study)
    except StudyError as error:
        raise UserError(str(error)) from None
    model, trained_on = trained.chosen(request.study, options["model"], study, storage)
    data_name = options["data"] or trained_on or study.data
    stem = Path(request.study).stem + ("-compared" if options["vary"] else "")
    name = options["name"] or fresh_name(storage, stem, datasets.kind(data_name))
    check_name(name)
    try:
        reader = kinds.reader(data_name, Path(options["data_folder"]), study.data_kind)
        base = study.base(reader.shape).model_copy(update=model)
        vary, arms = [*options["vary"]], [*options["arm"]]
        comparison = factorial.typed_comparison(vary, arms, options["race"], base) if vary else None
        settled = settings([*options["set"]], [*options["fix"]], study, base, comparison)
        base = settled.base
        configs = configs_of(study, base.model_dump(), comparison, settled.fixed)
        space = _space.describe(searched := comparison.space if comparison else settled.space(study), base)
    except (StudyError, datasets.DataError) as error:
        raise UserError(str(error)) from None
    spec = Spec(
        name=name,
        study=request.study,
        question=" ".join(study.question.split()),
        objectives=[(objective.key, objective.direction) for objective in study.objectives],
        data=data_name,
        data_digest="",
        data_folder=str(Path(options["data_folder"]).absolute()),
        image_shape=reader.shape,
        base=base.model_dump(mode="json"),
        model_digest=trained.begun_with(study, base.model_dump()),
        set=_plain(base.model_copy(update=settled.changed), [*model, *settled.changed]),
        fixed=settled.fixed,
        space={name: parameter.asdict() for name, parameter in space.items()},
        sampler="grid" if comparison else options["sampler"],
        pruner="none" if comparison else options["pruner"],
        seed=options["seed"],
        deterministic=options["deterministic"],
        checkpoints=checkpoint_store.resolve(options["checkpoints"]) if options["checkpoints"] else "",
        folder=str(Path(SWEEPS, name).absolute()),
        tracking_uri=tracking_uri(options["tracking_uri"], str(storage.url)),
        version=version(),
        command=request.command,
        options={**request.given},
        trials=len(comparison.arms) * options["seeds"] if comparison else options["trials"] or study.trials,
        comparison=comparison,
    )
    try:
        spec = combinations.settled(spec, study)
    except StudyError as error:
        raise UserError(str(error)) from None
    if stored := books.find(storage, name):
        _refuse_another(spec.model_copy(update={"data_digest": stored.data_digest}), stored)
    what = "the search may choose what does not suit these data: "
    chosen = [] if comparison else [(what, config) for config in _space.extremes(searched, base)]
    return _judged(spec, study, [*configs.items(), *chosen], reader) if read else spec  # last: it may wait for torch


def _judged(spec: Spec, study: Study[Any, Any], configs: Iterable[tuple[str, BaseModel]], reader: kinds.Reader) -> Spec:
    """The spec with what its data are; UserError where they do not suit the study."""
    try:
        data = reader.load()
        check(study, configs, data)
    except datasets.DataError as error:
        raise UserError(str(error)) from None
    caution = ""
    if (new := spec.base.get("evaluation_samples")) is not None:  # the study scores so many new images
        from models.parts.evaluation import needs

        caution = needs.caution(data, new)
    return spec.model_copy(update={"data_digest": data.digest, "data_notes": [*data.notes], "caution": caution})


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
    if Path(spec.study_source).resolve() != Path(stored.study_source).resolve():
        raise UserError(f"sweep '{spec.name}' exists and asks another study, {stored.study}; choose another --name")
    differing = spec.same_search(_with_choices_of(spec, stored))
    if differing:
        raise UserError(f"sweep '{spec.name}' exists with other settings: {differing}; choose another --name")


def _with_choices_of(spec: Spec, stored: Spec) -> Spec:
    """``stored`` with the sampler and the pruner of ``spec``, if it has had them: then the same command goes on with it.

    A version that did not ask what a pruner can do stored the default one where it never acts.
    """
    samplers, pruners = stored.history("sampler").values(), stored.history("pruner").values()
    asked = {spec.pruner, spec.options.get("pruner", DEFAULT_PRUNER)}
    return stored.model_copy(
        update={
            "sampler": spec.sampler if spec.sampler in samplers else stored.sampler,
            "pruner": spec.pruner if asked & {*pruners} else stored.pruner,
        }
    )


def tracking_uri(given: str | None, storage: str) -> str:
    """Where MLflow is: stored with the sweep and shown, so without a password. Elsewhere than Optuna's ``storage``."""
    given = (given or "").strip()
    option = "--tracking-uri" if given else "MLFLOW_TRACKING_URI"
    address = urls.typed(given, option, urls.TRACKING, server=True) if given else urls.tracking()
    uri = sqlite.absolute(urls.public(address, option))
    if urls.same(uri, sqlite.absolute(storage)):
        raise UserError(f"{option}={uri} is the database of --storage as well; MLflow and Optuna need one each")
    return uri


class Settings(NamedTuple):
    """What --set and --fix make of a recipe."""

    base: BaseModel
    fixed: dict[str, Any]  # searched parameters that are held
    changed: dict[str, Any]  # the pairs of --set that are more than a parameter held within its range

    def space(self, study: Study[Any, Any]) -> _space.Space[Any]:
        """The study's space with what is held."""
        return _space.fix(study.space, self.fixed, everywhere=self.changed)


def settings(
    set_texts: Sequence[str],
    fix_texts: Sequence[str],
    study: Study[Any, Any],
    base: BaseModel,
    comparison: factorial.Comparison | None = None,
) -> Settings:
    """The recipe ``base`` with the pairs of --set, and the parameters that these and --fix hold. Raises UserError, StudyError.

    --fix holds a parameter at a value of its range. --set does so at any value of the config, also where no search would go,
    and in all configurations, also in those that do not ask for it.
    """
    outline = None if comparison else _space.outline(study.space, base)
    changed, held = _set(set_texts, base, outline, comparison)
    if outline and set_texts:
        known = [text for text in [*fix_texts, *held] if text.partition("=")[0] in outline.parameters]
        outline = _with_settings(study, base, outline, changed, _fixed(known, outline.parameters))
        changed, held = _set(set_texts, base, outline, comparison)
    searched = outline.parameters if outline else {}
    whole = _validated(study.config, base.model_dump() | changed)
    values = {name: getattr(whole, name) for name in changed}
    strict = _fixed([*fix_texts, *held], searched)
    for name, value in values.items():
        if strict.get(name, value) != value:
            raise UserError(f"{name}={value}: {name} is held at {strict[name]} already; give it one value")
    settled = {name: value for name, value in values.items() if name in searched}
    base = _validated(
        study.config, base.model_dump() | {name: value for name, value in values.items() if name not in settled}
    )
    result = Settings(base, strict | settled, values)
    if reason := _space.unreachable(result.space(study), base, {k: v for k, v in strict.items() if k not in settled}):
        raise UserError(f"--fix {reason}")
    return result


def _with_settings(
    study: Study[Any, Any],
    base: BaseModel,
    before: _space.Outline,
    changed: dict[str, Any],
    strict: Mapping[str, Any],
) -> _space.Outline:
    """What is searched when settings are ``changed`` and parameters held, which were searched as ``before`` says.

    A setting may keep a parameter from being searched, and then that is a setting as well. What is held keeps its range.
    """
    whole = _validated(study.config, base.model_dump() | changed)
    fixed = {**strict, **{name: getattr(whole, name) for name in changed if name in before.parameters}}
    unsearched = {name: value for name, value in changed.items() if name not in fixed}
    space = _space.fix(study.space, fixed, everywhere=changed)
    now = _space.outline(space, _validated(study.config, base.model_dump() | unsearched))
    ranges = {name: before.parameters[name] for name in fixed}
    kept = {name: met for name, met in ranges.items() if name in now.parameters or not met.includes(fixed[name])}
    return _space.Outline(now.parameters | kept, now.common | before.common, now.points)


def _set(
    texts: Sequence[str], base: BaseModel, outline: _space.Outline | None, comparison: factorial.Comparison | None
) -> tuple[dict[str, Any], list[str]]:
    """The pairs of --set: settings with their values, see typed.meant, and the texts of those that only hold a parameter.

    These are of parameters that every configuration has, at a value of the range.
    """
    fields, searched = type(base).model_fields, outline.parameters if outline else {}
    changed: dict[str, Any] = {}
    held: list[str] = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text} has no value; write --set {key}=VALUE")
        if comparison and key in comparison.settings:
            raise UserError(f"--set {key}: it is what is compared")
        if key in searched and (key not in fields or (outline and key in outline.common and _in_range(text, searched))):
            held.append(text)
        elif key in fields:
            changed[key] = typed.meant(value, typed.field(fields[key]))
        else:
            known = list(dict.fromkeys([*fields, *searched]))
            raise UserError(f"--set {key}: no such setting; {did_you_mean(key, known)}there are: {', '.join(known)}")
    return changed, held


def _in_range(text: str, searched: dict[str, _space.Parameter]) -> bool:
    """Whether ``name=value`` is a value that the search may choose."""
    try:
        parse_fixed(text, searched)
    except StudyError:
        return False
    return True


def _fixed(texts: Sequence[str], searched: dict[str, _space.Parameter]) -> dict[str, Any]:
    """Searched parameters that are held, with their values; UserError for one that is held at two values."""
    fixed: dict[str, Any] = {}
    for text in texts:
        name, value = parse_fixed(text, searched)
        if fixed.setdefault(name, value) != value:
            raise UserError(f"{text}: {name} is held at {fixed[name]} already; give it one value")
    return fixed


def _plain(config: BaseModel, names: Sequence[str]) -> dict[str, Any]:
    """Those settings as they are stored."""
    values = config.model_dump(mode="json")
    return {name: values[name] for name in names}


def configs_of(
    study: Study[Any, Any], base: dict[str, Any], comparison: factorial.Comparison | None, fixed: Mapping[str, Any]
) -> dict[str, BaseModel]:
    """The recipe, or each arm of the comparison, by what a refusal of it begins with; UserError for settings that cannot be.

    Parameters that are ``fixed`` count as well, unless the recipe cannot have them: then the space adapts another setting.
    """
    with contextlib.suppress(ValidationError):
        base = study.config.model_validate(base | dict(fixed)).model_dump()
    arms = {f"the arm {arm.name} cannot work: ": arm.settings for arm in comparison.arms} if comparison else {"": {}}
    return {what: _validated(study.config, base | settings, what) for what, settings in arms.items()}


def check(study: Study[Any, Any], configs: Iterable[tuple[str, BaseModel]], data: kinds.DataSet) -> None:
    """Raises DataError where one of ``configs`` cannot work on these data; each has what a refusal of it begins with."""
    for what, config in configs:
        try:
            study.check(config, data)
        except ValueError as error:
            raise datasets.DataError(f"{what}{error}") from None


def _validated(config: type[BaseModel], values: Mapping[str, Any], what: str = "--set ") -> BaseModel:
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{what}{_space.sentence(error)}") from None
