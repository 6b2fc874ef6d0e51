"""Functions that a study names and does not import: torch is waited for where something is trained, not where it is listed."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studies.parts.study import StudyError


@dataclass(frozen=True)
class Later:
    """A function of another module, which is imported when it is first called."""

    place: str  # "package.module:function"

    def resolve(self) -> Callable[..., Any]:
        """The function itself. Raises StudyError where there is none of that name."""
        module, _, name = self.place.partition(":")
        function = getattr(importlib.import_module(module), name, None)
        if not callable(function):
            raise StudyError(f"{module} has no function '{name}'; correct the place '{self.place}'")
        return function  # type: ignore[no-any-return]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Import the function and call it."""
        return self.resolve()(*arguments, **named)


def later(place: str) -> Callable[..., Any]:
    """The function at ``place``, "package.module:function", imported when it is first called.

    Raises StudyError where ``place`` is not of that form.
    """
    module, colon, name = place.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise StudyError(f"'{place}' names no function; write package.module:function")
    return Later(place)
