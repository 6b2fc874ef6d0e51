"""What a study is: one frozen value that holds a question and everything needed to answer it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from models.env import Env
from models.events import Event, Images, Scalars

if TYPE_CHECKING:  # commands that train nothing do not wait for torch
    from torch import Tensor, nn

    from models.parts.training.workload import Workload

C = TypeVar("C", bound=BaseModel)
R = TypeVar("R")
ImageShape = tuple[int, int, int]  # channels, height, width


class StudyError(ValueError):
    """A study, a setting or a value that cannot be used; the message is one sentence with the way out."""


class Suggest(Protocol):
    """Where a space gets its values from. Optuna's trials fit."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class Objective:
    """A metric of the trainer that trials are compared by. Its last value is the trial's; earlier ones serve pruning."""

    key: str
    direction: Literal["minimize", "maximize"] = "minimize"

    @property
    def group(self) -> str:
        """What comes before the key's first slash: metrics of the same group are what it is read against."""
        return self.key.partition("/")[0]

    def read(self, event: Event) -> float | None:
        """The objective's value, where the event holds one."""
        return event.values.get(self.key) if isinstance(event, Scalars) else None


@dataclass(frozen=True)
class Section:
    """What its trials say that belongs together: a part of a sweep's report, by the keys under which it is said."""

    title: str
    text: str  # how it is to be read, for somebody who sees it for the first time
    pictures: tuple[str, ...] = ()  # of the best trial; what was not said is left out
    numbers: tuple[str, ...] = ()  # of the best, the median and the worst trial; `fid/` stands for the whole group


def named(keys: Iterable[str], there: Iterable[str]) -> list[str]:
    """Those of the names ``there`` that ``keys`` stand for, in the order of keys: `fid/` stands for all that begin so."""
    known = sorted(there)
    names = (name for key in keys for name in known if (name.startswith(key) if key.endswith("/") else name == key))
    return list(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class Study(Generic[C, R]):
    """A question, its search space, its trainer and what is looked at."""

    question: str
    config: type[C]
    base: Callable[[Any], C]  # the recipe for data of a shape: an ImageShape, or points and coordinates
    space: Callable[
        [Suggest, C], C
    ]  # parameters are named as the fields they set; what it does not search stays as in C
    train: Callable[[C, Env, Mapping[str, Any] | None], Generator[Event, Any, R]]
    report: Callable[[R, Env], Iterator[Event]]
    objectives: tuple[Objective, ...]
    # Raises ValueError, one sentence with the way out, where settings cannot work on these data or name files that cannot be
    # used: asked before a sweep begins or goes on.
    check: Callable[[C, Any], None] = lambda config, data: None
    first: tuple[Mapping[str, Any], ...] = ({},)  # what a sweep tries before its sampler chooses: changes of the recipe
    trials: int = 12  # of a sweep, unless its user says otherwise
    data: str = "digits"  # likewise
    data_kind: Literal["images", "clouds"] = "images"  # what it reads; see models/data/kinds.py
    fresh: str = "fid/fresh"  # key of the FID of new images, as many as the setting evaluation_samples says
    pictures: str = "samples/fresh"  # key of the images by which trials are shown side by side
    sections: tuple[Section, ...] = ()  # of a report, beside what every sweep has
    label: str = ""  # what tells one trial from another at a glance, with fields of the config: "{n_steps} steps"
    charts: tuple[str, ...] = ()  # metrics that tell how training goes, shown beside the objectives
    restore: Callable[[C, Any], nn.Module] | None = None  # the untrained network that a trial's weights fit
    takes: Callable[[C, Any], tuple[int, ...]] = lambda config, shape: shape  # the shape of one of its inputs
    sample: Callable[[C, Env, Mapping[str, Tensor], int], Images] | None = None  # so many new images by its weights
    traverse: Callable[[C, Env, Mapping[str, Tensor]], Images] | None = None  # a row for each dimension of its code
    # Real images edited by its weights: "fuse" or "transfer", from the class of the first number to that of the second.
    edit: Callable[[C, Env, Mapping[str, Tensor], str, int, int], Images] | None = None
    redrawn: tuple[
        str, ...
    ] = ()  # settings with which a trial may draw otherwise than it did: of steps, guidance, label
    # What training a trial computes: from it the time of a sweep is estimated before it starts. None: not known.
    workload: Callable[[C, Any], Workload] | None = None

    # How many values of its objectives a trial with these settings reports, the last one included; None: not known. A pruner
    # that needs more is refused.
    reports: Callable[[C], int | None] = lambda config: None
    model_of: tuple[str, ...] = ()  # studies one of whose trained networks it begins with: --model, the field ``model``
    together: int = 1  # trials that one process plays at the same time, so that they share what they compute
    heat_map: tuple[str, str, str] | None = None  # two numbers and a choice: the objective over them is a figure
    # Changes of the recipe for the shortest training on digits that logs everything a long one does: tests use it.
    smallest: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {name for _, name, _, _ in Formatter().parse(self.label) if name is not None}
        if unknown := named - self.config.model_fields.keys():
            raise StudyError(f"the label of a study names its settings, and {', '.join(sorted(unknown))} is none")
        if unknown := self.smallest.keys() - self.config.model_fields.keys():
            raise StudyError(f"the smallest settings of a study are its own, and {', '.join(sorted(unknown))} is none")

    def play(self, config: C, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, Any, None]:
        """All events of one trial."""
        result = yield from self.train(config, env, resume)
        yield from self.report(result, env)
