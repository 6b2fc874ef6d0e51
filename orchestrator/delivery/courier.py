"""Brings outboxes to the tracker, in the background: training never waits for a server, and nothing is lost where it is away."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from orchestrator import files
from orchestrator.delivery import outbox
from orchestrator.delivery.outbox import Begin, End, Entry, Numbers, Picture, Sent
from orchestrator.errors import UserError
from orchestrator.stores import urls as address

BATCH = 500  # entries that are delivered together
LOOK_SECONDS = 0.25  # between looks into outboxes that had nothing
RETRY_SECONDS = (0.5, 10.0)  # the first and the longest pause where the tracker cannot be reached
REFUSED = "refused.jsonl"


class Refused(Exception):
    """The tracker answered that it will never take this. Any other error means: later."""

    def __init__(self, reason: str, record: bool = False) -> None:
        """``record`` tells that the whole record is gone, so nothing of it will ever be taken."""
        super().__init__(reason)
        self.record = record


class Found(NamedTuple):
    """A record that is open."""

    run: str  # its id
    steps: Mapping[str, int] = {}  # the last one that it has of every key, of_picture's among them


class Store(Protocol):
    """Where records are delivered to. Delivering the same entries twice must be the same as once."""

    def begin(self, entry: Begin) -> Found:
        """Find the record of the entry's key, or make it; open it. Its params may be left to deliver."""

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        """Add entries to a record, in their order; a Begin among them is one that has been begun."""


class Delivery:
    """One outbox and how far it is delivered."""

    def __init__(self, folder: Path, store: Store) -> None:
        """``folder`` is the trial's or the sweep's."""
        self.folder, self.store = folder / outbox.FOLDER, store
        self.sent = outbox.sent(self.folder)

    def step(self) -> int:
        """Deliver one batch; returns the number of entries, 0 where nothing is left. Raises what the store raises.

        A batch may span segments: listed before they are read, all but the last are written no more.
        """
        there = [number for number in outbox.segments(self.folder) if number >= self.sent.segment]
        sent = self.sent.model_copy(deep=True)  # counts from when all of the batch has arrived
        entries: list[Entry] = []
        damaged = 0
        for number in there:
            if number > sent.segment:
                sent.passed[sent.segment] = sent.offset
                sent.segment, sent.offset, sent.closed = number, 0, False
            some, sent.offset, unread = outbox.read(self.folder, number, sent.offset, BATCH - len(entries))
            entries += some
            damaged += unread
            if some:
                sent.closed = isinstance(some[-1], End)
            if len(entries) == BATCH:
                break
        if (sent.segment, sent.offset) != (self.sent.segment, self.sent.offset):
            self._deliver(entries, sent)
            if damaged:
                self._refuse([], f"{damaged} damaged lines", damaged, sent)
            files.replace(self.folder / outbox.SENT, sent.model_dump_json().encode())
            self.sent = sent
        finished = sent.closed and not self.pending()
        for number in there:
            if number < sent.segment or finished:
                outbox.path_of(self.folder, number).unlink(missing_ok=True)  # delivered, and written no more
        return len(entries) + damaged

    def drain(self) -> None:
        """Deliver all that there is. Raises what the store raises."""
        while self.step():
            pass

    def pending(self) -> int:
        """Bytes that are not delivered."""
        size = 0
        for number in outbox.segments(self.folder):
            if number >= self.sent.segment:
                with suppress(FileNotFoundError):  # the courier's thread has just delivered and dropped it
                    size += outbox.path_of(self.folder, number).stat().st_size
                    size -= self.sent.offset if number == self.sent.segment else 0
        return max(0, size)

    def _deliver(self, entries: Sequence[Entry], sent: Sent) -> None:
        waiting: list[Entry] = []
        for entry in entries:
            if isinstance(entry, Begin):
                self._hand_over(waiting, sent)
                waiting = []
                known = sent.run or entry.run
                entry = entry.model_copy(update={"run": known or None})
                sent.run = ""
                try:
                    found = self.store.begin(entry)
                except Refused as error:  # what follows is refused as well, for the same reason
                    self._refuse([entry], str(error), 1, sent)
                    continue
                sent.run = found.run
                for key, step in found.steps.items():  # arrived, and perhaps we died before we could note it
                    sent.steps[key] = max(step, sent.steps.get(key, step))
            new = self._new(entry, sent)
            if new is not None:
                waiting.append(new)
        self._hand_over(waiting, sent)

    def _new(self, entry: Entry, sent: Sent) -> Entry | None:
        """The part of the entry that has not been said before: a trial that goes on from a checkpoint repeats itself."""
        steps = sent.steps
        if isinstance(entry, Numbers):
            values = {key: value for key, value in entry.values.items() if entry.step > steps.get(key, -(10**18))}
            steps.update(dict.fromkeys(values, entry.step))
            return entry.model_copy(update={"values": values}) if values else None
        if isinstance(entry, Picture):
            key = outbox.of_picture(entry.key)
            if entry.step <= steps.get(key, -(10**18)):
                return None
            steps[key] = entry.step
        return entry

    def _hand_over(self, entries: Sequence[Entry], sent: Sent) -> None:
        """Deliver, and where that is refused find out by halves what it is that is not taken."""
        if not entries:
            return
        try:
            if not sent.run:
                raise Refused(sent.reason or "its record was never begun", record=True)
            self.store.deliver(sent.run, entries)
        except Refused as error:
            if len(entries) == 1 or error.record:
                self._refuse(entries, str(error), len(entries), sent)
                return
            half = len(entries) // 2
            self._hand_over(entries[:half], sent)
            self._hand_over(entries[half:], sent)

    def _refuse(self, entries: Sequence[Entry], reason: str, count: int, sent: Sent) -> None:
        """Keep what is not taken, so that it can be looked at, and go on with the rest."""
        with (self.folder / REFUSED).open("a") as file:
            file.writelines(entry.model_dump_json() + "\n" for entry in entries)
        sent.refused += count
        sent.reason = reason


def begun(folder: Path, store: Store, uri: str) -> str:
    """Deliver the outbox of a folder here and now; returns its record's id.

    UserError where the tracker at ``uri`` is out of reach or refuses the record.
    """
    delivery = Delivery(folder, store)
    try:
        delivery.drain()
    except files.CannotWrite:
        raise
    except Exception as error:  # such as an account that may look but not write
        raise address.unopened(uri, "--tracking-uri", error) from None
    if not delivery.sent.run:
        raise UserError(
            f"{uri} refuses a record of the sweep ({delivery.sent.reason}); 'sweep doctor NAME --repair' mends what can be"
        )
    return delivery.sent.run


class Courier:
    """Delivers many outboxes from a thread of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.deliveries: dict[Path, Delivery] = {}
        self.refused: dict[str, int] = {}  # entries that were refused, by reason
        self.lock = threading.Lock()  # of deliveries
        self.leaving = threading.Event()
        self.trouble = ""  # why the tracker cannot be reached, '' where it can
        self.thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self.thread.start()

    def serve(self, folder: Path) -> None:
        """Deliver the outbox of a trial's or sweep's folder, in which something has been written, until it is closed."""
        with self.lock:
            if folder not in self.deliveries:
                self.deliveries[folder] = Delivery(folder, self.store)

    def run_id(self, folder: Path) -> str:
        """The id of a record that is served; '' where the tracker has not been reached yet."""
        delivery = self.deliveries.get(folder)
        return delivery.sent.run if delivery else outbox.run_id(folder)

    def pending(self) -> int:
        """Bytes that are not delivered."""
        return sum(delivery.pending() for _, delivery in self._serving())

    def drain(self, patience: float) -> bool:
        """Wait until all is delivered; False where the tracker was out of reach for ``patience`` seconds meanwhile."""
        since = time.monotonic()
        while self.pending():
            if not self.trouble:
                since = time.monotonic()
            elif time.monotonic() - since > patience:
                return False
            if not self.thread.is_alive():
                return False
            time.sleep(0.05)
        return True

    def close(self) -> None:
        """End the thread. What is not delivered stays in the outboxes."""
        self.leaving.set()
        self.thread.join(timeout=30)

    def _serving(self) -> list[tuple[Path, Delivery]]:
        with self.lock:
            return list(self.deliveries.items())

    def _run(self) -> None:
        pause = RETRY_SECONDS[0]
        while not self.leaving.is_set():
            delivered = 0
            try:
                for folder, delivery in self._serving():
                    delivered += self._once(folder, delivery)
                self.trouble, pause = "", RETRY_SECONDS[0]
            except Exception as error:  # a tracker may be away in as many ways as there are trackers
                self.trouble = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                self.leaving.wait(pause)
                pause = min(2 * pause, RETRY_SECONDS[1])
                continue
            if not delivered:
                self.leaving.wait(LOOK_SECONDS)

    def _once(self, folder: Path, delivery: Delivery) -> int:
        refused = delivery.sent.refused
        try:
            delivered = delivery.step()
        except Exception:
            with self.lock:
                self.deliveries[folder] = self.deliveries.pop(folder)  # the others come before it
            raise
        if delivery.sent.refused > refused:
            reason = delivery.sent.reason
            self.refused[reason] = self.refused.get(reason, 0) + delivery.sent.refused - refused
        with self.lock:  # whoever writes to it again asks us to serve it again, after writing
            if not delivered and not outbox.segments(delivery.folder):
                del self.deliveries[folder]
        return delivered
