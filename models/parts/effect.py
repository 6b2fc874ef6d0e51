"""Settings that have an effect only where another setting has certain values. No torch here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class OnlyWith:
    """In the type of a setting: it has an effect only where ``setting``, of the same config, has one of ``values``.

    friction: Annotated[float, OnlyWith("sampler", ["underdamped"])]
    """

    setting: str
    values: Sequence[Any]


def conditions(config: type[BaseModel]) -> dict[str, list[OnlyWith]]:
    """The settings that have an effect under conditions, all of which must hold."""
    declared = {
        name: [entry for entry in field.metadata if isinstance(entry, OnlyWith)]
        for name, field in config.model_fields.items()
    }
    return {name: needed for name, needed in declared.items() if needed}


def without_effect(config: type[BaseModel], possible: Mapping[str, Sequence[Any] | None]) -> dict[str, str]:
    """The settings that have no effect, each with what takes it from them, such as "rule=textbook".

    ``possible`` has the values that each setting may have; None: any. A setting that it lacks has its default, as in
    a sweep that is older than the setting.
    """
    reasons = dict[str, str]()
    for name, needed in conditions(config).items():
        for condition in needed:
            default = config.model_fields[condition.setting].default
            values = possible.get(condition.setting, [default])
            if values is not None and not set(values) & set(condition.values):
                reasons[name] = f"{condition.setting}={'|'.join(map(str, values))}"
                break
    return reasons
