"""How an option is declared: once, as an entry of a table that the command line and the Python API read.

A table is a TypedDict, so that editors complete its names and mypy checks its types. An entry says everything about an option:

    class SweepOptions(TypedDict, total=False):
        seed: Annotated[int, Option("Seed of the search and of every trial.", metavar="N", default=0)]

The types are int, float, str, bool (a flag) and Pairs; ``X | None`` where an option has no default.
"""

import math
import os
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Union, get_args, get_origin, get_type_hints

from models.hints import did_you_mean
from orchestrator.errors import UserError

Pairs = Mapping[str, Any] | Sequence[str]  # settings with values, or texts SETTING=VALUE
SECONDS_AT_MOST = 1e8  # three years; clocks and locks of the system take no number of seconds that is much larger
VALUES = (str, Real, os.PathLike, type(None))  # of a setting
WANTED = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    Pairs: "a mapping of settings to values, or a list of texts SETTING=VALUE",
}


@dataclass(frozen=True)
class Option:
    """One option; ``name`` and ``type`` come from its entry in the table."""

    help: str
    metavar: str | None = None
    default: Any = None
    default_text: str = ""  # what the help says of the default where that is None
    minimum: float | None = None
    above: float | None = None  # values are greater than this
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    environment: str = ""  # a variable that holds the default
    aliases: tuple[str, ...] = ()  # old names, which the help does not show
    several: str = r"[\s,]+"  # what separates several pairs in one text
    many: bool = False  # whether a pair has several values
    required: bool = False
    name: str = ""
    type: Any = None

    @property
    def flag(self) -> str:
        """As it is typed."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def full_help(self) -> str:
        """The help, with the default and the environment variable."""
        standard = self.default_text
        if isinstance(self.default, (int, float, str)) and self.default is not False:
            standard = f"{self.default:g}" if isinstance(self.default, float) else str(self.default)
        notes = (
            ["required"] * self.required
            + [f"default: {standard}"] * bool(standard)
            + [f"env: {self.environment}"] * bool(self.environment)
        )
        return self.help + (f"  [{'; '.join(notes)}]" if notes else "")

    def standard(self) -> Any:
        """The value where none was given."""
        return os.environ.get(self.environment) or self.default if self.environment else self.default

    def normal(self, value: Any) -> Any:
        """A given value, pairs as texts; UserError where it is of another type, or the option cannot have it."""
        value = self._typed(value)
        if self.choices and value not in self.choices:
            hint = did_you_mean(value, self.choices)
            raise UserError(f"{self.flag} {value}: {hint}there are {', '.join(self.choices)}")
        if self.minimum is not None and value < self.minimum:
            raise UserError(f"{self.flag} {value}: the lowest value is {self.minimum:g}")
        if self.above is not None and value <= self.above:
            raise UserError(f"{self.flag} {value}: give a value above {self.above:g}")
        if self.maximum is not None and value > self.maximum:
            raise UserError(f"{self.flag} {value}: the highest value is {self.maximum:g}")
        return value

    def _typed(self, value: Any) -> Any:
        """The value as the option's own type: numbers of numpy as Python's, a path as its text, pairs as texts."""
        if self.type == Pairs and isinstance(value, Mapping):
            return [self._pair(key, values) for key, values in value.items()]
        if self.type == Pairs and isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
            return [*value]
        if self.type is str and isinstance(value, str | os.PathLike):
            return os.fspath(value)
        if self.type is bool and isinstance(value, bool):
            return value
        if self.type is int and isinstance(value, Integral) and not isinstance(value, bool):
            return int(value)
        if self.type is float and isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        raise UserError(f"{self.name}={_shown(value)}: give {WANTED[self.type]}")

    def _pair(self, setting: Any, value: Any) -> str:
        """A setting with its value, or its values, as it is typed."""
        shown, value = f"{self.name}={_shown({setting: value})}", _plain(value)
        if not isinstance(setting, str) or not setting or "=" in setting:
            raise UserError(f"{shown}: {_shown(setting)} cannot be a setting; give its name as a text")
        values = (
            [_plain(entry) for entry in value] if self.many and isinstance(value, list | tuple | range) else [value]
        )
        if not all(isinstance(entry, VALUES) for entry in values):
            wanted = "a list of values" if self.many else "one value"
            raise UserError(f"{shown}: give {setting} {wanted}: a number, a text, True, False or None")
        return f"{setting}={','.join(map(_text, values))}"

    def arguments(self, value: Any) -> list[str]:
        """The option with a normal value, as it is typed."""
        if self.type == Pairs:
            return [word for pair in value for word in (self.flag, pair)]
        return [self.flag] if value is True else [self.flag, str(value)]


def read(*tables: type) -> dict[str, Option]:
    """The options of some tables, by name, in the order of their entries."""
    options: dict[str, Option] = {}
    for table in tables:
        for name, entry in get_type_hints(table, include_extras=True).items():
            (option,) = entry.__metadata__
            options[name] = replace(option, name=name, type=_type(entry.__origin__))
    return options


def given(options: Mapping[str, Option], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Normal values of the options that were given: not None, not empty, not the default.

    UserError for an option that ``where`` does not have, or for a value that it cannot have.
    """
    for name in values:
        if name not in options:
            hint = did_you_mean(name, options)
            raise UserError(f"{where} has no option {name}; {hint}there are: {', '.join(options)}")
    normal = {
        name: option.normal(values[name])
        for name, option in options.items()
        if values.get(name) is not None and not (isinstance(values[name], str) and values[name] == "")
    }
    return {name: value for name, value in normal.items() if value != options[name].standard() and value != []}


def argument(name: str, value: Any, kind: Any, **limits: Any) -> Any:
    """An argument of a function of the Python API, of the type ``kind``; UserError that names it where it cannot be.

    ``limits`` are those of Option: minimum, maximum, choices, many.
    """
    return Option("", name=name, type=kind, **limits).normal(value)


def complete(options: Mapping[str, Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """All options: the given ones, the others with their defaults."""
    return {name: values[name] if name in values else option.standard() for name, option in options.items()}


def _type(kind: Any) -> Any:
    """The type of an entry without its None."""
    if kind == Pairs or get_origin(kind) not in (Union, types.UnionType):
        return kind
    (kind,) = (part for part in get_args(kind) if part is not type(None))
    return kind


def _plain(value: Any) -> Any:
    """Arrays and numbers of numpy, torch and pandas as Python's."""
    return value.tolist() if hasattr(value, "tolist") else value


def _text(value: Any) -> str:
    """A setting's value as it is typed."""
    return "none" if value is None else str(value)


def _shown(value: Any) -> str:
    """A value as Python writes it, shortened to fit a sentence."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
