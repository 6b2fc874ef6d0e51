"""What each sampler and each pruner can do: the one table that plans, help and documents read. It needs no Optuna."""

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

How = Literal["learned", "random", "all"]  # how values are chosen: by a model, at random, or one after the other


@dataclass(frozen=True)
class Sampler:
    """How a sampler chooses values. ``objectives`` is the most that it can search; None stands for any number."""

    objectives: int | None
    numbers: How
    choices: How  # of categorical parameters
    branches: How  # of parameters that only some configurations have
    avoids: bool = False  # whether it keeps away from settings that diverged
    libraries: tuple[str, ...] = ()  # that it needs, by the names that pip knows

    @property
    def learns(self) -> bool:
        """Whether it learns from trials at all."""
        return self.numbers == "learned"


@dataclass(frozen=True)
class Pruner:
    """When a pruner can act. ``earlier`` is the number of reports that it needs before a trial's last one."""

    objectives: int | None
    earlier: int
    deterministic: bool  # whether it decides the same for any number of workers


SAMPLERS = {
    "tpe": Sampler(None, "learned", "learned", "learned", avoids=True),
    "random": Sampler(None, "random", "random", "random"),
    "grid": Sampler(None, "all", "all", "all"),
    "gp": Sampler(None, "learned", "learned", "random", libraries=("scipy", "torch")),
    "cmaes": Sampler(1, "learned", "random", "random", libraries=("cmaes",)),
}
PRUNERS = {
    "median": Pruner(1, earlier=2, deterministic=True),
    "asha": Pruner(1, earlier=1, deterministic=False),
    "hyperband": Pruner(1, earlier=1, deterministic=False),
    "none": Pruner(None, earlier=0, deterministic=True),
}
DEFAULT_PRUNER = "median"
STARTUP_TRIALS = 6  # before a model is trusted; Optuna's own 10 would leave a sweep of a dozen almost all random


def missing(libraries: Iterable[str]) -> list[str]:
    """Those of the libraries that are not installed. None is imported."""
    return [name for name in libraries if importlib.util.find_spec(name) is None]


def listed(names: Sequence[str]) -> str:
    """'tpe', 'tpe or random', 'tpe, random or grid'."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def sampler_rows() -> list[list[str]]:
    """The table of samplers as text, its head first."""
    rows = [["sampler", "objectives", "numbers", "choices", "branches", "diverged", "needs"]]
    for name, sampler in SAMPLERS.items():
        diverged = "avoided" if sampler.avoids else "ignored"
        libraries = ", ".join(sampler.libraries) or "-"
        rows.append(
            [name, _count(sampler.objectives), sampler.numbers, sampler.choices, sampler.branches, diverged, libraries]
        )
    return rows


def pruner_rows() -> list[list[str]]:
    """The table of pruners as text, its head first."""
    rows = [["pruner", "objectives", "reports before the last", "--deterministic"]]
    for name, pruner in PRUNERS.items():
        earlier = f"{pruner.earlier} or more" if pruner.earlier else "any number"
        rows.append([name, _count(pruner.objectives), earlier, "yes" if pruner.deterministic else "no"])
    return rows


def text() -> str:
    """Both tables with what their words mean, in lines of at most 80 characters: for --help and documents."""
    return "\n".join([*_aligned(sampler_rows()), "", *LEGEND, "", *_aligned(pruner_rows()), "", *PRUNER_LEGEND])


LEGEND = (
    "learned: chosen by a model of earlier trials. random: chosen at random.",
    "all: one after the other, 3 values of a number. choices: parameters that are not numbers.",
    "branches: parameters that only some configurations have.",
    "diverged: whether the sampler keeps away from settings that diverged.",
)
PRUNER_LEGEND = (
    "Where the default pruner cannot act, the sweep has none, and the plan says so.",
    "Every other combination that does not fit is refused before anything starts.",
)


def _count(objectives: int | None) -> str:
    return "any number" if objectives is None else "one"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
