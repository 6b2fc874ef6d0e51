"""The plan of a comparison: every arm with every seed, one block of seeds after the other.

All arms have the same seeds, so they are compared in pairs. In a race an arm that is significantly worse is dropped.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from models.hints import did_you_mean
from orchestrator.errors import UserError
from studies.parts import space as _space
from studies.parts import typed
from studies.parts.study import Suggest

C = TypeVar("C", bound=BaseModel)


class OfArm(Protocol):
    """A trial of a comparison, as far as the plan looks at it."""

    @property
    def arm(self) -> int | None:
        """The arm that it belongs to, from 0; None where another program made the trial."""


class Arm(BaseModel, frozen=True):
    """One configuration of a comparison."""

    settings: dict[str, Any]  # the fields that are varied
    run: str = ""  # its MLflow run, once there is one
    dropped: str = ""  # why it has left the race, where it has

    @property
    def name(self) -> str:
        """Its settings in a line."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items())


class Comparison(BaseModel, frozen=True):
    """What is compared: a full factorial of ``vary``, and arms beside it. All arms have the same settings."""

    vary: dict[str, list[Any]]
    arms: list[Arm]  # those of the factorial first
    race: bool = False

    @property
    def of_factorial(self) -> range:
        """The arms that are combinations of ``vary``."""
        return range(math.prod(map(len, self.vary.values())))

    @property
    def settings(self) -> dict[str, list[Any]]:
        """The fields in which arms differ, each with the values that it has in them."""
        fields = self.arms[0].settings
        return {name: list(dict.fromkeys(arm.settings[name] for arm in self.arms)) for name in fields}

    def arm_of(self, settings: Mapping[str, Any]) -> int:
        """Which arm a trial with these settings belongs to."""
        return next(i for i, arm in enumerate(self.arms) if arm.settings == dict(settings))

    def drop(self, arm: int, why: str) -> "Comparison":
        """The same without an arm, which keeps the trials that it has."""
        arms = [other.model_copy(update={"dropped": why}) if i == arm else other for i, other in enumerate(self.arms)]
        return self.model_copy(update={"arms": arms})

    def space(self, suggest: Suggest, base: C) -> C:
        """The arms as a search space: each field in which they differ is a choice."""
        chosen = {name: suggest.suggest_categorical(name, values) for name, values in self.settings.items()}
        return type(base).model_validate(base.model_dump() | chosen)


def full(
    vary: Mapping[str, Sequence[Any]],
    race: bool,
    more: Sequence[Mapping[str, Any]] = (),
    base: Mapping[str, Any] = MappingProxyType({}),
) -> Comparison:
    """All combinations, the last field varying fastest, and ``more`` arms: a field that one does not name is as in ``base``."""
    combinations = [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]
    fields = list(dict.fromkeys([*vary, *(name for settings in more for name in settings)]))
    arms = [{name: settings.get(name, base.get(name)) for name in fields} for settings in [*combinations, *more]]
    factors = {name: list(values) for name, values in vary.items()}
    return Comparison(vary=factors, arms=[Arm(settings=settings) for settings in arms], race=race)


def begun(comparison: Comparison, trials: Iterable[OfArm]) -> list[int]:
    """How many trials of each arm there are."""
    counts = [0] * len(comparison.arms)
    for trial in trials:
        if trial.arm is not None:
            counts[trial.arm] += 1
    return counts


def upcoming(begun: Sequence[int], comparison: Comparison) -> tuple[int, int]:
    """Arm and replicate to be played next: the first of the arms that have the fewest trials."""
    replicate, arm = min((count, i) for i, count in enumerate(begun) if not comparison.arms[i].dropped)
    return arm, replicate


def total(begun: Sequence[int], trials: int, comparison: Comparison) -> int:
    """Of ``trials`` in all, those that are played where dropped arms get no more than they have."""
    arms = len(comparison.arms)
    quotas = [(trials + arms - 1 - i) // arms for i in range(arms)]
    return sum(
        have if arm.dropped else max(have, quota)
        for have, arm, quota in zip(begun, comparison.arms, quotas, strict=True)
    )


def typed_comparison(vary: Sequence[str], arm: Sequence[str], race: bool, base: BaseModel) -> Comparison:
    """The arms of --vary and of --arm; UserError for what cannot be compared."""
    more = [_arm(text, base) for text in arm]
    comparison = full(_vary(vary, base), race, more, base.model_dump())
    if same := [other.name for i, other in enumerate(comparison.arms) if i != comparison.arm_of(other.settings)]:
        raise UserError(f"two arms are the same, {same[0]}; leave one --arm out")
    return comparison


def _vary(texts: Sequence[str], base: BaseModel) -> dict[str, list[Any]]:
    """``field=value,value`` as fields and their values; UserError for what cannot be compared."""
    vary: dict[str, list[Any]] = {}
    for text in texts:
        key, _, listed = text.partition("=")
        given = [value for value in re.split(r"[\s,]+", listed) if value]
        if len(given) < 2:
            raise UserError(f"--vary {text}: nothing to compare; write --vary {key}=VALUE,VALUE")
        values = [_value("--vary", text, key, value, base) for value in given]
        if len(set(values)) < len(values) or key in vary:
            raise UserError(f"--vary {text}: each setting once, with different values")
        vary[key] = values
    return vary


def _arm(text: str, base: BaseModel) -> dict[str, Any]:
    """``field=value,field=value`` as fields and their values; UserError for what cannot be."""
    settings: dict[str, Any] = {}
    for pair in filter(None, text.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or key in settings:
            raise UserError(f"--arm {text}: write each setting once, --arm SETTING=VALUE,SETTING=VALUE")
        settings[key] = _value("--arm", text, key, value, base)
    return settings


def _value(option: str, text: str, key: str, value: str, base: BaseModel) -> Any:
    """The ``value`` of a setting in the ``text`` of an option; UserError for no such setting, or a value that it cannot have."""
    fields = type(base).model_fields
    if key not in fields:
        raise UserError(f"{option} {key}: no such setting; {did_you_mean(key, fields)}there are: {', '.join(fields)}")
    field = typed.field(fields[key])
    try:
        return field.validate_python(typed.meant(value, field))
    except ValidationError as error:
        raise UserError(f"{option} {text}: {_space.sentence(error)}") from None
