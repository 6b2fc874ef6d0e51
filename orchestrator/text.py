"""How numbers, times and commands are written for a reader."""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

YEAR = 365.25 * 86_400  # seconds
HEIGHTS = "▁▂▃▄▅▆▇█"


def short(value: Any) -> str:
    """A value in few letters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def counted(number: int, word: str = "trial") -> str:
    """So many of them, in words."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def trials(numbers: Iterable[int]) -> str:
    """Trials by their numbers: "trial 3", "trials 0-4, 7"."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    ranges = ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
    return ("trials " if sum(map(len, parts)) > 1 else "trial ") + ranges


def clock(seconds: float | None) -> str:
    """Seconds as 1:02:03 or 2:03; '' for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def about(seconds: float) -> str:
    """An estimate in a unit of which there are at least two, if that can be: "about 50 seconds", "about 9 days"."""
    if seconds > 1000 * YEAR:
        return "more than a thousand years"
    for unit, length in (("year", YEAR), ("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"about {counted(round(seconds / length), unit)}"
    return f"about {counted(round(seconds), 'second')}"


def settings_line(params: Mapping[str, Any]) -> str:
    """A trial's settings in one line."""
    return " ".join(f"{name}={short(value)}" for name, value in params.items())


def sparkline(values: Iterable[float | None], letters: int) -> str:
    """Values as heights in at most so many letters, each the mean of its share; · where there is none."""
    given = list(values)
    shares = [given[i * len(given) // letters : (i + 1) * len(given) // letters] for i in range(letters)]
    means = [_mean(share) for share in (shares if len(given) > letters else [[value] for value in given])]
    known = [mean for mean in means if mean is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    level = [None if mean is None else round((len(HEIGHTS) - 1) * (mean - low) / span) if span else 0 for mean in means]
    return "".join("·" if height is None else HEIGHTS[height] for height in level)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None


def program() -> str:
    """How our command is called here: environments that `mlflow run` makes hold our dependencies, not our script."""
    return "sweep" if shutil.which("sweep") else "python -m orchestrator"


def first_line(error: BaseException, most: int = 300) -> str:
    """What an error says, in a line; its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:most]


def visible(text: str) -> str:
    """With control characters as they are written in Python: one in a user's text must not steer the terminal."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" or ord(letter) > 159 else ascii(letter)[1:-1]
        for letter in text
    )


def gigabytes(size: float) -> str:
    """A number of bytes in words."""
    return f"{size / 1e9:.2f} GB"


def version() -> str:
    """The version of this program."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("generative-sweeps")
    except PackageNotFoundError:
        return "source"
