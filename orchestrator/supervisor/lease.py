"""Who drives a sweep: one supervisor at a time, wherever it runs, and another one soon after it is gone."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from pydantic import BaseModel

from orchestrator.errors import UserError
from orchestrator.layout import DRIVER_LOCK
from orchestrator.search.book import DRIVER, Book
from orchestrator.search.trials import Trial
from orchestrator.stores.optuna_storage import UNWRITABLE

BEAT_SECONDS = 1.0
SILENT_SECONDS = 20.0  # without a beat, a supervisor on another machine is gone; a busy machine may miss several


class Driver(BaseModel, frozen=True):
    """A supervisor, as it describes itself with every beat."""

    token: str
    host: str
    process: int
    started: float  # when the process was, in seconds since 1970: its number may be another's later
    since: str
    folder: str = ""  # the sweep's on that machine, see _identity; '' where an earlier version drives
    beat: int = 0
    state: str = "running"
    trials: dict[int, str] = {}  # how far each running trial is, as text
    places: tuple[str, ...] = ()  # where they are, on a cluster: one for each trial


def driver(book: Book) -> Driver | None:
    """Who drives the sweep, or drove it last and did not say goodbye."""
    stored = book.notes().get(DRIVER)
    return Driver.model_validate(stored) if stored else None


def alive(book: Book, who: Driver) -> bool:
    """Whether that supervisor is there. For another machine's this takes seconds, unless it has just been heard.

    On this machine its process tells. When it began is known by the clock, which may be set, as after a sleep or in a virtual
    machine.

    One of this machine that drives the sweep in another folder drives the original, of which this is a copy.
    """
    if who.host == socket.gethostname():
        if who.folder and not book.obstacle and _identity(book) not in ("", who.folder):
            return False
        try:
            process = psutil.Process(who.process)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if abs(process.create_time() - who.started) < 1:
                return True
        except psutil.NoSuchProcess:
            return False
        # Another process has its number, or the clock was set since then: a beat tells which.
    end = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < end:
        now = driver(book)
        if now is None:
            return False
        if now != who:
            return True
        time.sleep(0.5)
    return False


def _identity(book: Book) -> str:
    """What tells the sweep's folder from a copy of it, whatever its path; '' where there is none."""
    with suppress(OSError):
        status = os.stat(book.spec.folder)
        return f"{status.st_dev}:{status.st_ino}"
    return ""


def present(book: Book) -> Driver | None:
    """Who drives the sweep now; None where nobody does."""
    who = driver(book)
    return who if who is not None and alive(book, who) else None


def running(who: Driver | None, trials: Iterable[Trial]) -> list[Trial]:
    """Those of the ``trials`` that this supervisor runs now. Optuna also calls those RUNNING that have left with a checkpoint."""
    left = [trial for trial in trials if trial.state == "running"]
    if who is None or who.state == "running":  # one that has just begun is not in the last beat
        return left if who else []
    return [trial for trial in left if trial.number in who.trials]


def outcome(who: Driver | None, trial: Trial) -> str:
    """How a trial stands, in a word: that of its outcome, or "stopped" where it waits to go on from its checkpoint."""
    return "stopped" if trial.state == "running" and not running(who, [trial]) else trial.outcome


class Lease:
    """Being the one who drives. Beats come from a thread of their own: a supervisor may be busy for seconds."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.me = Driver(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            process=os.getpid(),
            started=psutil.Process().create_time(),
            since=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            folder=_identity(book),
        )
        self.lost = ""
        self.before = book.notes().get(DRIVER)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, name="lease", daemon=True)
        book.note(DRIVER, self.me.model_dump(mode="json"))
        self.thread.start()

    def tell(self, state: str, trials: Mapping[int, str], places: Iterable[str] = ()) -> None:
        """What the next beat says; UserError where somebody else has taken over, as after a long sleep of the machine."""
        if self.lost:
            raise UserError(f"sweep '{self.book.spec.name}' was taken over by {self.lost}")
        self.me = self.me.model_copy(update={"state": state, "trials": dict(trials), "places": tuple(places)})

    def end(self, refused: bool = False) -> None:
        """Say goodbye. Where the command was ``refused``, the sweep says again who drove it last, as if nothing had been."""
        self.ending.set()
        self.thread.join(timeout=30)
        with suppress(*UNWRITABLE):  # the next one sees that this process is gone
            who = driver(self.book)
            if who is not None and who.token == self.me.token:
                self.book.note(DRIVER, self.before if refused else None)

    def _run(self) -> None:
        beat = 0
        while not self.ending.wait(BEAT_SECONDS):
            with suppress(*UNWRITABLE):  # the supervisor will hear of it
                who = driver(self.book)
                if who is not None and who.token != self.me.token:
                    self.lost = _driver_text(who)
                    return
                beat += 1
                self.book.note(DRIVER, self.me.model_copy(update={"beat": beat}).model_dump(mode="json"))


@contextmanager
def acquire_lease(book: Book) -> Iterator[Lease]:
    """Be the only supervisor of the sweep inside the block; UserError, naming the other one, where there is one.

    The lock decides between processes that share the sweep's folder, what is kept with the sweep between machines.
    """
    book.claim()
    lock = FileLock(Path(book.spec.folder, DRIVER_LOCK))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise driven(book, driver(book)) from None
    try:
        other = present(book)
        if other is not None:
            raise driven(book, other)
        lease, refused = Lease(book), False
        try:
            yield lease
        except UserError:
            refused = True
            raise
        finally:
            lease.end(refused)
    finally:
        lock.release()


def driven(book: Book, who: Driver | None) -> UserError:
    """The error of a command that only one process at a time may give."""
    by, name = _driver_text(who) if who else "a process that has just begun", book.spec.name
    return UserError(
        f"sweep '{name}' is being driven by {by}; wait for it, give it another total with `sweep extend {name} --trials N`, "
        f"or end it with `sweep stop {name}`"
    )


def _driver_text(who: Driver) -> str:
    return f"process {who.process} on {who.host} since {who.since}"
