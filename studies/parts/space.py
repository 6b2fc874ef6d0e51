"""A define-by-run search space, looked at from outside: its parameters, its grid, and some of them held fixed.

A space may ask for a parameter only in some branches (``noise_end`` unless the schedule is constant). Branches must
depend on categorical parameters alone, for all choices are tried here and a number is not.
"""

import itertools
import math
import random
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from studies.parts.parameter import Parameter as Parameter
from studies.parts.study import StudyError, Suggest

C = TypeVar("C", bound=BaseModel)
Space = Callable[[Suggest, C], C]
MOST_PARAMETERS = 1_000  # of one configuration
MOST_BRANCHES = 10_000  # that are looked at


class _Suggest:
    """Answers every question of a space by ``answer``, and keeps what was asked."""

    def __init__(self, answer: Callable[[str, Parameter], Any]) -> None:
        self.answer = answer
        self.parameters: dict[str, Parameter] = {}

    def _ask(self, name: str, parameter: Parameter) -> Any:
        self.parameters[name] = parameter
        if len(self.parameters) > MOST_PARAMETERS:
            raise StudyError(
                f"the space has no end: it asks for {name} after {MOST_PARAMETERS} others; give its loop an end"
            )
        return self.answer(name, parameter)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._ask(name, Parameter("float", low, high, log, step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._ask(name, Parameter("int", low, high, log, step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._ask(name, Parameter("categorical", choices=tuple(choices)))


@dataclass(frozen=True)
class Fixed:
    """A Suggest that holds some parameters at given values and passes all else on.

    A value of the range or of the choices is passed on as a range of a single value, so the parameter stays in the table. Any
    other value is a setting: nothing is asked.
    """

    inner: Suggest
    values: Mapping[str, Any]

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """See Suggest."""
        if name in self.values:
            value = self.values[name]
            if not Parameter("float", low, high, log, step).includes(value):
                return value  # type: ignore[no-any-return]
            low = high = value
        return self.inner.suggest_float(name, low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """See Suggest."""
        if name in self.values:
            value = self.values[name]
            if not Parameter("int", low, high, log, step).includes(value):
                return value  # type: ignore[no-any-return]
            low = high = value
        return self.inner.suggest_int(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """See Suggest."""
        if name not in self.values:
            return self.inner.suggest_categorical(name, choices)
        value = self.values[name]
        return self.inner.suggest_categorical(name, [value]) if value in choices else value


def fix(space: Space[C], values: Mapping[str, Any], everywhere: Container[str] = ()) -> Space[C]:
    """The space with some of its parameters held at ``values``; those ``everywhere`` also where they are not asked for."""

    def held(suggest: Suggest, base: C) -> C:
        config = space(Fixed(suggest, values), base)
        others = {
            name: value for name, value in values.items() if name in everywhere and getattr(config, name) != value
        }
        return type(config).model_validate(config.model_dump() | others) if others else config

    return held


def grid(space: Space[C], base: C, points: int) -> Iterator[dict[str, Any]]:
    """Every combination of ``points`` values a number and all choices, each branch with its own parameters only."""
    pending: list[tuple[Any, ...]] = [()]
    while pending:
        path = pending.pop()
        taken: dict[str, Any] = {}

        def answer(name: str, parameter: Parameter, path: tuple[Any, ...] = path, taken: dict[str, Any] = taken) -> Any:
            position = len(taken)
            if name in taken:
                return taken[name]
            if position < len(path):
                taken[name] = path[position]
            else:
                first, *others = parameter.grid(points)
                before = tuple(taken.values())
                pending.extend((*before, other) for other in reversed(others))
                taken[name] = first
            return taken[name]

        space(_Suggest(answer), base)
        yield taken


def extremes(space: Space[C], base: C) -> Iterator[C]:
    """Configurations in which each choice is met at least once, each with its numbers at their lowest and at their highest."""
    met = set[tuple[str, Any]]()
    for point in itertools.islice(grid(space, base, 1), MOST_BRANCHES):
        if met >= (chosen := set(point.items())):
            continue
        met |= chosen
        for pick in (_lowest, _highest):
            yield space(_Suggest(partial(_within, point, pick)), base)


@dataclass(frozen=True)
class Outline:
    """What a space holds: the ``parameters`` of all branches, in the order in which they are met.

    ``common`` are those that every configuration has, with the same range. ``points`` is the size of its grid.
    """

    parameters: dict[str, Parameter]
    common: frozenset[str]
    points: int


def outline(space: Space[C], base: C, points: int = 1) -> Outline:
    """The space with all its branches; its grid has ``points`` values a number. Raises StudyError where ``base`` does not fit."""
    parameters: dict[str, Parameter] = {}
    common: dict[str, Parameter] | None = None
    size = 0
    try:
        for position, point in enumerate(itertools.islice(grid(space, base, 1), MOST_BRANCHES)):
            for pick in (_lowest, _highest, random.Random(position).choice):
                suggest = _Suggest(partial(_within, point, pick))
                space(suggest, base)
                parameters |= suggest.parameters
                before = suggest.parameters if common is None else common
                common = {name: met for name, met in before.items() if suggest.parameters.get(name) == met}
            size += math.prod(len(met.grid(points)) for met in suggest.parameters.values() if not met.choices)
    except ValidationError as error:
        raise _cannot_work(error) from None
    return Outline(parameters, frozenset(common or ()), size)


def _cannot_work(error: ValidationError) -> StudyError:
    return StudyError(f"the search space holds settings that cannot work: {sentence(error)}")


def describe(space: Space[C], base: C) -> dict[str, Parameter]:
    """All parameters of all branches, in the order in which they are met. Raises StudyError where ``base`` does not fit."""
    return outline(space, base).parameters


def unreachable(space: Space[C], base: C, settings: Mapping[str, Any]) -> str:
    """Why no configuration of the space has all of ``settings``, each of which is a parameter's value; '' where one has.

    Raises StudyError where the space holds settings that cannot work.
    """
    asked: set[str] = set()
    try:
        for point in itertools.islice(grid(fix(space, settings), base, 1), MOST_BRANCHES):
            if settings.keys() <= point.keys():
                return ""
            asked |= settings.keys() & point.keys()
    except ValidationError as error:
        raise _cannot_work(error) from None
    others = [name for name in settings if name not in asked] or list(settings)
    with_others = ", ".join(f"{name}={value}" for name, value in settings.items() if name not in others)
    which = f"no configuration with {with_others}" if with_others else "with these settings no configuration"
    return f"{', '.join(others)}: {which} has it; leave it out"


def _within(point: Mapping[str, Any], pick: Callable[[list[Any]], Any], name: str, parameter: Parameter) -> Any:
    """The branch's own choice, or a number of its range."""
    return point[name] if parameter.choices else pick(parameter.grid(25))


def _lowest(values: list[Any]) -> Any:
    return values[0]


def _highest(values: list[Any]) -> Any:
    return values[-1]


def recipes(changes: Sequence[Mapping[str, Any]], held: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is tried first: the ``changes`` of a study's recipes that lose least to what is ``held``, with it, each once.

    A recipe that is of another branch than what is held, as one of another loss would be, is none of this search.
    """
    lost = [sum(held.get(name, value) != value for name, value in change.items()) for change in changes]
    starts: list[dict[str, Any]] = []
    for change, count in zip(changes, lost, strict=True):
        merged = {**change, **held}
        if count == min(lost) and merged not in starts:
            starts.append(merged)
    return starts


def recipe(space: Space[C], base: C) -> dict[str, Any]:
    """The parameters' values in ``base`` itself, where each lies in the space; {} where one does not."""
    fields = base.model_dump()
    values: dict[str, Any] = {}

    def answer(name: str, parameter: Parameter) -> Any:
        if name not in fields:
            raise StudyError(f"{name} is no field of the config")
        values[name] = parameter.parse(name, str(fields[name]))
        return values[name]

    try:
        space(_Suggest(answer), base)
    except (StudyError, ValidationError):
        return {}
    return values


def sentence(error: ValidationError) -> str:
    """A pydantic error as one sentence: the first field that is wrong, and why."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = str(first["msg"]).removeprefix("Value error, ")
    given = f"={first['input']}" if where and not isinstance(first["input"], dict) else ""
    return f"{where}{given}: {message}" if where else message
