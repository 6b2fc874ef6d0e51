"""What a sweep knows of itself: everything that decides its trials, stored with it."""

import math
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

import studies
from orchestrator import files
from orchestrator.errors import UserError
from orchestrator.layout import TRIAL, cache_folder
from orchestrator.search.factorial import Comparison
from studies.parts import space as _space
from studies.parts.study import Study, StudyError

GRID_POINTS = 3  # values of a number in a grid
Direction = Literal["minimize", "maximize"]
BETTER: Mapping[Direction, str] = {"minimize": "lower", "maximize": "higher"}  # the values that are


class Drift(BaseModel, frozen=True):
    """A change of study or data with which a sweep went on, because its user said so."""

    before: int  # trials that were asked under what was before
    base: dict[str, Any]  # the config that they vary
    what: str


Sampler = Literal["tpe", "random", "grid", "gp", "cmaes"]
Pruner = Literal["median", "asha", "hyperband", "none"]


class SearchChange(BaseModel, frozen=True):
    """Another sampler or pruner with which a sweep went on: those that trials before ``before`` had."""

    before: int
    sampler: Sampler
    pruner: Pruner


class Spec(BaseModel, frozen=True):
    """A sweep, resolved: no default is looked up again when it is resumed."""

    id: str = Field(default_factory=lambda: uuid.uuid4().hex)  # its own, where a name may be used again
    name: str
    study: str
    question: str
    objectives: list[tuple[str, Direction]]
    data: str
    data_digest: str
    data_folder: str
    data_notes: list[str] = []  # what was converted or left out when the data were read, a sentence each
    caution: str = ""  # what is said beside every score, such as that it is of few images: a sentence
    image_shape: tuple[int, ...]  # of one example: an image, or a point cloud
    base: dict[str, Any]  # the config that trials vary
    set: dict[str, Any]  # what the user changed in it
    fixed: dict[str, Any]  # searched parameters that the user holds
    model_digest: str = ""  # of the weights of the trained network that its trials begin with; '' where there is none
    space: dict[str, dict[str, Any]]
    sampler: Sampler
    pruner: Pruner
    seed: int
    deterministic: bool = False  # the same trials whatever the number of workers
    folder: str  # of checkpoints, weights and samples
    checkpoints: str = ""  # the address of checkpoints, where they are not in the folder
    tracking_uri: str
    version: str
    command: str
    options: dict[str, Any] = {}  # what `sweep run` or `sweep compare` was given, by SweepOptions and the other tables
    run: str = ""  # the MLflow run of the sweep, once there is one
    trials: int = Field(ge=1)  # the total; resuming may change it
    drifts: list[Drift] = []  # resuming may add one
    changes: list[SearchChange] = []  # likewise
    comparison: Comparison | None = None  # of its arms, where that is what the sweep is for

    def renamed(self, name: str) -> "Spec":
        """The same sweep by another name, in the folder of that name."""
        return self.model_copy(update={"name": name, "folder": str(Path(self.folder).with_name(name))})

    @property
    def study_source(self) -> str:
        """The study for studies.load: a name, or the user's own file. Its path as typed is relative to the home."""
        return str(Path(self.folder).parent.parent / self.study) if self.study.endswith(".py") else self.study

    def load_study(self) -> Study[Any, Any]:
        """The study. Raises StudyError, with the way out where its file is gone."""
        source = self.study_source
        if source.endswith(".py") and not Path(source).exists():
            raise StudyError(f"there is no file {files.shown(Path(source))}, which is its study; put it back there")
        return studies.load(source)

    @property
    def cache_folder(self) -> str:
        """Shared by all sweeps of the folder: what is trained once, like the judge."""
        return cache_folder(self.folder)

    def checkpoints_of(self, number: int | None = None) -> str:
        """Where a trial's checkpoints are, or all of the sweep; '' where that is its folder."""
        trial = "" if number is None else f"/{TRIAL}{number}"
        return f"{self.checkpoints}/{self.id}{trial}" if self.checkpoints else ""

    def space_of(self, study: Study[Any, Any]) -> _space.Space[Any]:
        """What trials are asked from: the study's space with what is held, or the arms of a comparison."""
        return self.comparison.space if self.comparison else _space.fix(study.space, self.fixed, everywhere=self.set)

    def parent_of(self, settings: Mapping[str, Any]) -> str:
        """The MLflow run that a trial with these settings is shown below: the sweep's, or its arm's."""
        return self.comparison.arms[self.comparison.arm_of(settings)].run if self.comparison else self.run

    def base_of(self, number: int) -> dict[str, Any]:
        """The config that a trial varies."""
        return next((drift.base for drift in self.drifts if number < drift.before), self.base)

    @property
    def shared(self) -> dict[str, Any]:
        """The settings that all trials share: the recipe, and what is held where no search would go."""
        held = {name: value for name, value in self.fixed.items() if name in self.base}
        return {name: value for name, value in (self.base | held).items() if name not in self.space}

    def sampler_of(self, number: int) -> Sampler:
        """The sampler that a trial was, or will be, asked of."""
        return next((change.sampler for change in self.changes if number < change.before), self.sampler)

    def history(self, option: Literal["sampler", "pruner"]) -> dict[int, str]:
        """The samplers or pruners that the sweep has had, each by the first trial that it holds for."""
        firsts = [0, *(change.before for change in self.changes)]
        names = [*(getattr(change, option) for change in self.changes), getattr(self, option)]
        held: dict[int, str] = {}
        for first, name in zip(firsts, names, strict=True):
            if name not in list(held.values())[-1:]:
                held[first] = name
        return held

    def history_text(self, option: Literal["sampler", "pruner"]) -> str:
        """The same in words: 'tpe', or 'cmaes, from trial 6 tpe'."""
        first, *others = self.history(option).items()
        return ", ".join([first[1], *(f"from trial {number} {name}" for number, name in others)])

    @property
    def signs(self) -> list[int]:
        """1 for each objective of which lower values are better, else -1."""
        return [1 if direction == "minimize" else -1 for _, direction in self.objectives]

    def parameters(self) -> dict[str, _space.Parameter]:
        """The search space."""
        return {
            name: _space.Parameter(**{**stored, "choices": tuple(stored["choices"])})
            for name, stored in self.space.items()
        }

    def same_search(self, other: "Spec") -> str:
        """'' where both, which ask the same study, search the same; else what differs, as 'seed 0 (was 1)'."""
        keys = (
            "data_digest",
            "model_digest",
            "objectives",
            "base",
            "fixed",
            "space",
            "sampler",
            "pruner",
            "seed",
            "deterministic",
        )
        differing = []
        for key in keys:
            now, was = (spec.parameters() if key == "space" else getattr(spec, key) for spec in (self, other))
            if key == "model_digest" and not (now and was):  # an earlier version did not keep it
                continue
            if key == "base" and now.keys() - was.keys():  # a setting of a later version changes nothing by its default
                was = _defaults(self) | was
            if isinstance(now, dict) and isinstance(was, dict):
                for field in sorted(now.keys() | was.keys()):
                    if now.get(field) != was.get(field):
                        differing.append(f"{field} {now.get(field, 'absent')} (was {was.get(field, 'absent')})")
            elif now != was:
                differing.append(f"{key.replace('_', ' ')} {now} (was {was})")
        return ", ".join(differing)

    def incompatible(self, now: "Spec") -> str:
        """Why trials asked under ``now`` cannot be compared with those of this spec, '' where they can."""
        if now.objectives != self.objectives:
            return f"objectives {now.objectives} (was {self.objectives})"
        for name, parameter in now.parameters().items():
            before = self.parameters().get(name)
            if before is None:
                continue
            if before.kind != parameter.kind or before.log != parameter.log:
                return f"{name} is another kind of parameter"
            if before.choices != parameter.choices:
                return f"{name} has other choices"
        return ""


def _defaults(spec: Spec) -> dict[str, Any]:
    """What the study's settings are where nobody says anything; {} where the study cannot be loaded."""
    try:
        config = spec.load_study().config
    except StudyError:
        return {}
    values: dict[str, Any] = config.model_construct().model_dump(mode="json")
    return values  # without those that have to be given


def current(spec: Spec) -> Spec:
    """The sweep as the study's code would make it now. Raises StudyError, pydantic's ValidationError.

    A study of this package may get another recipe in a later version: a sweep keeps the one that it began with. A change of
    the user's own file is meant for the sweep.
    """
    study = spec.load_study()
    if spec.study.endswith(".py"):
        changed = {name: value for name, value in spec.set.items() if name not in spec.fixed}
        base = study.config.model_validate(study.base(spec.image_shape).model_dump() | changed)
    else:
        base = study.config.model_validate(spec.base)
    return spec.model_copy(
        update={
            "base": base.model_dump(mode="json"),
            "space": {
                name: parameter.asdict() for name, parameter in _space.describe(spec.space_of(study), base).items()
            },
            "objectives": [(objective.key, objective.direction) for objective in study.objectives],
        }
    )


def parse_fixed(text: str, space: dict[str, _space.Parameter]) -> tuple[str, Any]:
    """``name=value`` as a parameter of the space and a value it may take; UserError with the way out."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--fix {text} has no value; write --fix {name}=VALUE")
    if name not in space:
        raise UserError(f"--fix {name}: the study does not search it; it searches {', '.join(space)}")
    return name, space[name].parse(name, value)


def better(direction: str, a: float, b: float) -> bool:
    """Whether ``a`` is a better value than ``b``."""
    return not math.isnan(a) and (a < b if direction == "minimize" else a > b)
