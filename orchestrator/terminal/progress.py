"""A sweep while it runs: a live table in a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.messages import Ended
from orchestrator.supervisor.status import SweepStatus
from orchestrator.terminal.tables import STYLES
from orchestrator.text import clock, settings_line

PLAIN_SECONDS = 30.0  # between lines about running trials, where nothing else happens


class Display(Protocol):
    """Shows a sweep, from entering it to leaving it."""

    def __enter__(self) -> "Display": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, status: SweepStatus) -> None:
        """Show where the sweep stands."""


def display(console: Console) -> Display:
    """The display that fits the console."""
    return Terminal(console) if console.is_terminal else Plain(console)


def _counts(status: SweepStatus) -> Text:
    parts = [Text(f"{status.finished}/{status.total} finished", "bold")]
    parts += [Text(f"{count} {outcome}", STYLES[outcome]) for outcome, count in status.counts.items() if count]
    if status.best is not None:
        parts.append(Text(f"best {status.objective} {status.best[1]:.4g} (trial {status.best[0]})", "bold"))
    if status.undelivered:
        parts.append(Text("the tracker is out of reach, records wait", "yellow"))
    if status.state != "running":
        waiting = f": waiting for {len(status.running)} trials to leave" if status.running else ""
        parts.append(Text(f"{status.state}{waiting}", "red"))
    elif status.seconds_left is not None and status.finished < status.total:
        parts.append(Text(f"about {clock(status.seconds_left)} left"))
    return Text(" · ").join(parts)


def _ended(number: int, end: Ended, objective: str) -> Text:
    value = f" {objective} {end.values[0]:.4g}" if end.values else ""
    reason = f" ({end.reason})" if end.reason else ""
    text = Text(f"trial {number} ")
    text.append(end.outcome + reason, STYLES.get(end.outcome, ""))
    text.append(f"{value} in {clock(end.seconds)}")
    if end.outcome == "failed" and end.detail:
        text.append(f": {end.detail.strip().splitlines()[-1]}")
    return text


class Plain:
    """A line for each trial that ends, and now and then one for those that run."""

    def __init__(self, console: Console) -> None:
        self.console, self.shown_trials, self.shown_events, self.last = console, 0, 0, time.monotonic()

    def __enter__(self) -> "Plain":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, status: SweepStatus) -> None:
        """See Display."""
        now = time.monotonic()
        for event in status.events[self.shown_events :]:
            self.console.print(event, highlight=False, soft_wrap=True)
        self.shown_events = len(status.events)
        for number, end in status.ended[self.shown_trials :]:
            line = _ended(number, end, status.objective)
            self.console.print(Text.assemble(line, " · ", _counts(status)), soft_wrap=True)
            self.last = now
        self.shown_trials = len(status.ended)
        if now - self.last > PLAIN_SECONDS and status.running:
            rows = (f"trial {number} {trial.progress()}" for number, trial in sorted(status.running.items()))
            self.console.print(Text.assemble("running: " + ", ".join(rows) + " · ", _counts(status)), soft_wrap=True)
            self.last = now


class Terminal:
    """A table of the running trials that is drawn over itself; trials that end scroll up above it."""

    def __init__(self, console: Console) -> None:
        self.live, self.shown_trials, self.shown_events = (
            Live(console=console, auto_refresh=False, transient=True),
            0,
            0,
        )

    def __enter__(self) -> "Terminal":
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def show(self, status: SweepStatus) -> None:
        """See Display."""
        for event in status.events[self.shown_events :]:
            self.live.console.print(event, highlight=False)
        self.shown_events = len(status.events)
        for number, end in status.ended[self.shown_trials :]:
            self.live.console.print(_ended(number, end, status.objective))
        self.shown_trials = len(status.ended)
        self.live.update(Group(self._running(status), _counts(status)), refresh=True)

    def _running(self, status: SweepStatus) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False)
        placed = any(trial.place for trial in status.running.values())
        for column in ("trial", "stage", "", "step", status.objective, "time", *["place"] * placed, "settings"):
            table.add_column(column, no_wrap=column == "settings", overflow="ellipsis")
        now = time.monotonic()
        for number, trial in sorted(status.running.items()):
            pulse = trial.pulse
            table.add_row(
                str(number),
                pulse.stage,
                ProgressBar(total=max(1, pulse.total), completed=pulse.done, width=20),
                f"{pulse.done}/{pulse.total}" if pulse.total > 1 else "",
                f"{trial.values[0]:.4g}" if trial.values else "",
                clock(now - trial.began),
                *[trial.place] * placed,
                settings_line(trial.pending.params),
            )
        return table
