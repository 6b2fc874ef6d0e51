"""Where a sweep stands, as its supervisor sees it: what displays show."""

import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from orchestrator.launchers.memory import Held
from orchestrator.launchers.protocol import Job
from orchestrator.messages import WAITING, Ended, Pulse
from orchestrator.search.trials import PendingTrial, Stay
from orchestrator.text import clock

WAIT_SECONDS = 1.0  # a shorter wait for a place is not worth a word

RECENT = 100  # trials by which the time that is left is estimated


@dataclass
class RunningTrial:
    """A trial that runs. Times are of time.monotonic()."""

    pending: PendingTrial
    slot: int
    job: Job
    began: float
    heard: float
    pulse: Pulse = field(default_factory=lambda: Pulse("start", 0, 0))
    values: tuple[float, ...] = ()
    skipped: bool = False
    processor: float | None = None  # seconds that it had used when it was last thought silent
    held: Held = Held(0, 0)  # of the memory
    place: str = ""  # the machine that plays it, where the launcher chooses among several
    device: str = ""
    waited: float = 0.0  # seconds until it had a place
    gpu_memory: float = 0.0  # see Ended

    @property
    def number(self) -> int:
        """Of the trial."""
        return self.pending.number

    def placed(self, place: str) -> None:
        """It has a place now. What it waited does not count."""
        self.place, self.waited, self.began = place, self.heard - self.began, self.heard
        self.pulse = Pulse("start", 0, 0)

    def stay(self) -> Stay | None:
        """Where and when it was, up to now; None where it never had a place."""
        if self.pulse.stage == WAITING:
            return None
        now = time.time()
        began = now - (time.monotonic() - self.began)
        times = round(began, 2), round(now, 2), round(self.waited, 2)
        return Stay(self.place or self.device, *times, round(self.gpu_memory, 4), self.held.most)

    def progress(self) -> str:
        """How far it is."""
        pulse = self.pulse
        there = f" on {self.place}" if self.place else ""
        there += f", waited {clock(self.waited)}" if self.waited >= WAIT_SECONDS else ""
        return (f"{pulse.stage} {pulse.done}/{pulse.total}" if pulse.total > 1 else pulse.stage) + there


@dataclass
class SweepStatus:
    """What a display shows."""

    name: str
    total: int
    objective: str
    counts: dict[str, int]
    running: dict[int, RunningTrial] = field(default_factory=dict)
    best: tuple[int, float] | None = None
    seconds_left: float | None = None
    ended: list[tuple[int, Ended]] = field(default_factory=list)  # since this supervisor began
    events: list[str] = field(default_factory=list)  # what else happened: a death, a command
    state: str = "running"
    undelivered: str = ""  # why the tracker cannot be reached

    @property
    def finished(self) -> int:
        """Trials that count towards the total."""
        return sum(self.counts.values())


def recent() -> deque[float]:
    """The times that trials took; those of the last ones are kept."""
    return deque(maxlen=RECENT)


def estimate(status: SweepStatus, took: Collection[float], slots: int) -> float | None:
    """Seconds left, from the mean of the trials that ended last; None before the first."""
    if not took:
        return None
    mean = sum(took) / len(took)
    now = time.monotonic()
    work = (status.total - status.finished) * mean
    work -= sum(min(mean, now - trial.began) for trial in status.running.values())
    return max(0.0, work) / slots
