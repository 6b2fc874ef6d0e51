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
from orchestrator.supervisor.status import View
from orchestrator.terminal.tables import STYLES
from orchestrator.text import clock, settings_line

PLAIN_SECONDS = 30.0  # between lines about running trials, where nothing else happens


class Display(Protocol):
    """Shows views, from entering it to leaving it."""

    def __enter__(self) -> "Display": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, view: View) -> None:
        """Show where the sweep stands."""


def display(console: Console) -> Display:
    """The display that fits the console."""
    return Terminal(console) if console.is_terminal else Plain(console)


def _counts(view: View) -> Text:
    parts = [Text(f"{view.finished}/{view.total} finished", "bold")]
    parts += [Text(f"{count} {outcome}", STYLES[outcome]) for outcome, count in view.counts.items() if count]
    if view.best is not None:
        parts.append(Text(f"best {view.objective} {view.best[1]:.4g} (trial {view.best[0]})", "bold"))
    if view.undelivered:
        parts.append(Text("the tracker is out of reach, records wait", "yellow"))
    if view.state != "running":
        waiting = f": waiting for {len(view.running)} trials to leave" if view.running else ""
        parts.append(Text(f"{view.state}{waiting}", "red"))
    elif view.seconds_left is not None and view.finished < view.total:
        parts.append(Text(f"about {clock(view.seconds_left)} left"))
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
        self.console, self.said, self.told, self.last = console, 0, 0, time.monotonic()

    def __enter__(self) -> "Plain":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, view: View) -> None:
        """See Display."""
        now = time.monotonic()
        for event in view.events[self.told :]:
            self.console.print(event, highlight=False, soft_wrap=True)
        self.told = len(view.events)
        for number, end in view.ended[self.said :]:
            line = _ended(number, end, view.objective)
            self.console.print(Text.assemble(line, " · ", _counts(view)), soft_wrap=True)
            self.last = now
        self.said = len(view.ended)
        if now - self.last > PLAIN_SECONDS and view.running:
            rows = (f"trial {number} {one.words()}" for number, one in sorted(view.running.items()))
            self.console.print(Text.assemble("running: " + ", ".join(rows) + " · ", _counts(view)), soft_wrap=True)
            self.last = now


class Terminal:
    """A table of the running trials that is drawn over itself; trials that end scroll up above it."""

    def __init__(self, console: Console) -> None:
        self.live, self.said, self.told = Live(console=console, auto_refresh=False, transient=True), 0, 0

    def __enter__(self) -> "Terminal":
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def show(self, view: View) -> None:
        """See Display."""
        for event in view.events[self.told :]:
            self.live.console.print(event, highlight=False)
        self.told = len(view.events)
        for number, end in view.ended[self.said :]:
            self.live.console.print(_ended(number, end, view.objective))
        self.said = len(view.ended)
        self.live.update(Group(self._running(view), _counts(view)), refresh=True)

    def _running(self, view: View) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("trial", "stage", "", "step", view.objective, "time", "settings"):
            table.add_column(column, no_wrap=column == "settings", overflow="ellipsis")
        now = time.monotonic()
        for number, one in sorted(view.running.items()):
            pulse = one.pulse
            table.add_row(
                str(number),
                pulse.stage,
                ProgressBar(total=max(1, pulse.total), completed=pulse.done, width=20),
                f"{pulse.done}/{pulse.total}" if pulse.total > 1 else "",
                f"{one.values[0]:.4g}" if one.values else "",
                clock(now - one.began),
                settings_line(one.asked.params),
            )
        return table
