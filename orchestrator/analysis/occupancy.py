"""Where trials ran and when: rows of places and the shares of time in which they were busy.

Of each trial the book keeps its workers' stays. A place (a machine of a cluster, a GPU, the processor) has as many rows as
it ever played trials at a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.search.trials import Trial

WENT_ON = "went on elsewhere"  # how a stay ended that was not the trial's last


class Span(NamedTuple):
    """A trial, or a worker of one: from when to when it ran, in seconds at work, and how it ended."""

    number: int
    began: float
    ended: float
    outcome: str


@dataclass(frozen=True)
class Place:
    """A place: what ran in each of its rows, and the share of rows and time in which it was busy, 0 to 1."""

    name: str
    rows: Sequence[Sequence[Span]]
    busy: float


class Clock:
    """Seconds during which anything was played: it stands still while nothing is, as between two runs of a sweep."""

    def __init__(self, times: Iterable[tuple[float, float]]) -> None:
        """``times``: when each began and ended."""
        self.blocks: list[tuple[float, float]] = []
        for began, ended in sorted(times):
            if self.blocks and began <= self.blocks[-1][1]:
                self.blocks[-1] = self.blocks[-1][0], max(ended, self.blocks[-1][1])
            else:
                self.blocks.append((began, ended))

    def __call__(self, time: float) -> float:
        """The seconds at work before ``time``."""
        return sum(min(time, ended) - began for began, ended in self.blocks if began < time)


def places(trials: Iterable[Trial]) -> list[Place]:
    """The places at which workers of these trials were, by name; [] where that is not known of any."""
    stays = [(trial, stay, stay is trial.stays[-1]) for trial in trials for stay in trial.stays]
    clock = Clock((stay.began, stay.ended) for _, stay, _ in stays)
    whole = clock(float("inf"))
    spans: dict[str, list[Span]] = {}
    for trial, stay, last in stays:
        outcome = trial.outcome if last and trial.finished else WENT_ON
        span = Span(trial.number, clock(stay.began), clock(stay.ended), outcome)
        spans.setdefault(stay.where, []).append(span)
    return [Place(name, rows := _rows(spans[name]), _share(spans[name], len(rows) * whole)) for name in sorted(spans)]


def _rows(spans: Iterable[Span]) -> list[list[Span]]:
    """Each in the first row in which it overlaps no other."""
    rows: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: span.began):
        row = next((row for row in rows if row[-1].ended <= span.began), None)
        if row is None:
            rows.append([span])
        else:
            row.append(span)
    return rows


def _share(spans: Iterable[Span], whole: float) -> float:
    return sum(span.ended - span.began for span in spans) / whole if whole else 0.0
