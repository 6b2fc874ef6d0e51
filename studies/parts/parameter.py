"""A parameter of a search space: a range of numbers, or choices."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from studies.parts.study import StudyError


@dataclass(frozen=True)
class Parameter:
    """A range of numbers, or choices."""

    kind: str  # float | int | categorical
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def single(self) -> bool:
        """Whether it can take one value only, as a parameter that is held."""
        return len(self.choices) == 1 if self.kind == "categorical" else self.low == self.high

    def __str__(self) -> str:
        if self.kind == "categorical":
            return " | ".join(map(str, self.choices))
        return f"{self.low:g} … {self.high:g}" + (" log" if self.log else "") + (" whole" if self.kind == "int" else "")

    def asdict(self) -> dict[str, Any]:
        """Plain values, for storing and comparing."""
        return asdict(self) | {"choices": list(self.choices)}

    def parse(self, name: str, text: str) -> Any:
        """The value that ``text`` means, if the parameter may take it; raises StudyError."""
        wrong = StudyError(f"{name}={text} is outside the search space; {name} may be {self}")
        if self.kind == "categorical":
            for choice in self.choices:
                if str(choice).lower() == text.lower():
                    return choice
            raise wrong
        try:
            value = int(text) if self.kind == "int" else float(text)
        except ValueError:
            raise wrong from None
        if not self.low <= value <= self.high:
            raise wrong
        if abs(value - self._on_step(value)) > 1e-8:
            raise StudyError(f"{name}={text} is between two steps; {name} may be {self} in steps of {self.step:g}")
        return value

    def includes(self, value: Any) -> bool:
        """Whether ``value`` is one that the search may choose."""
        if self.kind == "categorical":
            return value in self.choices
        if value is None or isinstance(value, bool | str):
            return False
        return bool(self.low <= value <= self.high and abs(value - self._on_step(value)) <= 1e-8)

    def grid(self, points: int) -> list[Any]:
        """All choices, or ``points`` numbers evenly spread over the range, on its own scale."""
        if self.kind == "categorical":
            return list(self.choices)
        shares = [0.5] if points == 1 else [k / (points - 1) for k in range(points)]
        values = [self._on_step(self._between(share)) for share in shares]
        return sorted(set(map(round, values))) if self.kind == "int" else sorted(set(values))

    def _on_step(self, value: float) -> float:
        """The nearest value that the steps allow, if there are any."""
        if not self._stepped:
            return value
        step = self.step or 1
        return self.low + step * min(round((value - self.low) / step), int((self.high - self.low) / step + 1e-8))

    @property
    def _stepped(self) -> bool:
        """Whether it takes only some of the numbers of its range; all whole ones are taken anyway."""
        return self.step is not None and not self.log and (self.kind, self.step) != ("int", 1)

    def _between(self, share: float) -> float:
        if share in (0, 1) or self.low == self.high:  # exactly, for rounding could leave the range
            return self.high if share else self.low
        if not self.log:
            return self.low + (self.high - self.low) * share
        return math.exp(math.log(self.low) + (math.log(self.high) - math.log(self.low)) * share)
