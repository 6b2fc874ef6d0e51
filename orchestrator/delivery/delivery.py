"""One outbox on its way into a store: in order, once, and nothing is lost while the store is out of reach."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from orchestrator import files
from orchestrator.delivery import outbox
from orchestrator.delivery.entries import Begin, End, Entry, Numbers, Picture, Select, Tags
from orchestrator.delivery.outbox import Sent
from orchestrator.delivery.store import Refused, Store, Unclear
from orchestrator.errors import UserError
from orchestrator.layout import OUTBOX, REFUSED, SENT
from orchestrator.stores import failures

BATCH = 500  # entries that are delivered together
BEFORE = -(2**70)  # a step before all steps
TRIES = 5  # of a batch whose answers are unclear; then it is refused

T = TypeVar("T")


class Delivery:
    """One outbox and how far it is delivered."""

    def __init__(self, folder: Path, store: Store) -> None:
        """``folder`` is the trial's, the arm's or the sweep's."""
        self.folder, self.store = folder / OUTBOX, store
        self.sent = outbox.sent(self.folder)
        self._on_run: Callable[[str], None] = lambda run: None
        self._refusals = self.folder / REFUSED  # where entries that are not taken go
        self.reasons = Counter[str]()  # of what this step has had refused
        self._tries = 0  # of the next batch, with unclear answers
        self._torn = 0  # bytes of a line that has no end: its writer is at it, or was killed

    def call_back(self, on_run: Callable[[str], None]) -> None:
        """Call ``on_run`` with the id of the record: at once where it is known, and whenever it changes.

        The call may come from the thread that delivers, and may come twice with the same id.
        """
        self._on_run = on_run
        if self.sent.run:
            on_run(self.sent.run)

    def step(self) -> int:
        """Deliver one batch; returns the number of entries, 0 where nothing is left. Raises what the store raises.

        An answer that is Unclear is raised a few times; then what it is about is refused.

        A batch may span segments: they are listed before they are read, so all but the last are written no more.
        """
        segments = outbox.segments(self.folder)
        undelivered = self._undelivered(segments)  # before it is read, for more may be written meanwhile
        sent = self.sent.model_copy(deep=True)  # counts from when all of the batch has arrived
        entries: list[Entry] = []
        damaged = 0
        for segment in segments:
            if segment < sent.segment:
                continue  # delivered by a courier that was killed before it removed the file
            if segment > sent.segment:
                sent.passed[sent.segment] = sent.offset
                sent.segment, sent.offset, sent.closed = segment, 0, False
            batch, sent.offset, unread = outbox.read(self.folder, segment, sent.offset, BATCH - len(entries))
            entries += batch
            damaged += unread
            if batch:
                sent.closed = isinstance(batch[-1], End)
            if len(entries) == BATCH:
                break
        if (sent.segment, sent.offset) != (self.sent.segment, self.sent.offset):
            self._deliver(entries, sent)
            if damaged:
                self._refuse([], f"{damaged} damaged lines", damaged, sent)
            self._note(sent)
            self._tries = 0
        self._torn = 0 if entries or damaged else undelivered
        finished = sent.closed and not self._undelivered(outbox.segments(self.folder))
        for segment in segments:
            if segment < sent.segment or finished:
                outbox.path_of(self.folder, segment).unlink(missing_ok=True)  # delivered, and written no more
        return len(entries) + damaged

    def drain(self) -> None:
        """Deliver all that there is. Raises what the store raises."""
        while self.step():
            pass

    def pending(self) -> int:
        """Bytes that wait for delivery. A line without an end does not: nobody may be there to end it."""
        undelivered = self._undelivered(outbox.segments(self.folder))
        return 0 if undelivered == self._torn else undelivered

    def _undelivered(self, segments: Sequence[int]) -> int:
        size = 0
        for segment in segments:
            if segment >= self.sent.segment:
                with suppress(FileNotFoundError):  # the courier's thread has just delivered and dropped it
                    size += outbox.path_of(self.folder, segment).stat().st_size
                    size -= self.sent.offset if segment == self.sent.segment else 0
        return max(0, size)

    def _note(self, sent: Sent) -> None:
        """Keep on disk how far the delivery is; the id of the record is known from now on."""
        files.replace(self.folder / SENT, sent.model_dump_json().encode())
        before, self.sent = self.sent, sent
        if sent.run and sent.run != before.run:
            self._on_run(sent.run)

    def _deliver(self, entries: Sequence[Entry], sent: Sent) -> None:
        waiting: list[Entry] = []
        for entry in entries:
            if isinstance(entry, Begin | Select):
                self._hand_over(waiting, sent)
                waiting = []
            if isinstance(entry, Select):
                sent.select(entry.run)
                continue
            if isinstance(entry, Begin):
                entry = entry.model_copy(update={"run": sent.run or entry.run or None})
                if not self._begin(entry, sent):
                    continue
            new = self._new(entry, sent)
            if new is not None:
                waiting.append(new)
        self._hand_over(waiting, sent)

    def _begin(self, entry: Begin, sent: Sent) -> bool:
        """Open the record; False where that is refused. What follows is then refused as well, for the same reason."""
        sent.run = ""
        try:
            record = self._asked(lambda: self.store.begin(entry))
        except Refused as error:
            sent.gone |= error.record
            self._refuse([entry], str(error), 1, sent)
            return False
        sent.run = record.run
        for key, step in record.steps.items():  # arrived, and perhaps we died before we could note it
            sent.steps[key] = max(step, sent.steps.get(key, step))
        return True

    def _new(self, entry: Entry, sent: Sent) -> Entry | None:
        """The part of an entry that is not delivered: a trial that resumes from a checkpoint repeats itself."""
        steps = sent.steps
        if isinstance(entry, Numbers):
            values = {key: value for key, value in entry.values.items() if entry.step > steps.get(key, BEFORE)}
            steps.update(dict.fromkeys(values, entry.step))
            return entry.model_copy(update={"values": values}) if values else None
        if isinstance(entry, Picture):
            key = outbox.of_picture(entry.key)
            if entry.step <= steps.get(key, BEFORE):
                return None
            steps[key] = entry.step
        return entry

    def _hand_over(self, entries: Sequence[Entry], sent: Sent) -> None:
        """Deliver; where that is refused, find by halves which entries the store does not take."""
        if not entries:
            return
        try:
            if not sent.run:
                raise Refused(sent.reason or "its record was never begun", record=True)
            self._asked(lambda: self.store.deliver(sent.run, entries))
        except Refused as error:
            parts = entries if len(entries) > 1 else _parts(entries[0])
            if len(parts) == 1 or error.record:
                sent.gone |= error.record
                self._refuse(entries, str(error), len(entries), sent)
                return
            half = len(parts) // 2
            self._hand_over(parts[:half], sent)
            self._hand_over(parts[half:], sent)

    def _asked(self, ask: Callable[[], T]) -> T:
        """What the store answers. An answer that stays unclear is a refusal."""
        try:
            return ask()
        except Unclear as error:
            self._tries += 1
            if self._tries < TRIES:
                raise
            raise Refused(str(error)) from error

    def deliver_refused(self) -> int:
        """Deliver once more what was refused; returns how many entries were taken. What is refused again is kept.

        Raises what the store raises; then all of it is kept.
        """
        refused = [entry for entry in outbox.refused(self.folder) if not isinstance(entry, Select)]
        if not refused:
            return 0
        sent = self.sent.model_copy(deep=True, update={"refused": 0, "reason": "", "gone": False})
        kept, again = self._refusals, self.folder / f"{REFUSED}.again"
        again.unlink(missing_ok=True)  # of somebody who was killed here
        self._refusals, self._tries = again, TRIES  # they have been tried often
        try:
            if sent.run or self._opened(refused, sent):
                self._hand_over(refused, sent)
        finally:
            self._refusals, self._tries = kept, 0
        if not sent.run:
            return 0
        if sent.refused:
            again.replace(kept)
        else:
            kept.unlink()
        self._note(sent)
        return len(refused) - sent.refused

    def _opened(self, refused: Sequence[Entry], sent: Sent) -> bool:
        """Open the record whose beginning was refused."""
        begin = next((entry for entry in refused if isinstance(entry, Begin)), None)
        return begin is not None and self._begin(begin, sent)

    def _refuse(self, entries: Sequence[Entry], reason: str, count: int, sent: Sent) -> None:
        """Keep what is not taken, so that it can be looked at, and go on with the rest."""
        with self._refusals.open("a") as file:
            file.writelines(entry.model_dump_json() + "\n" for entry in entries)
        sent.refused += count
        sent.reason = reason
        self.reasons[reason] += count


def _parts(entry: Entry) -> list[Entry]:
    """The entries of one key each that together say the same; the entry itself where it has no keys, or one."""
    match entry:
        case Numbers() | Tags():
            return [entry.model_copy(update={"values": {key: value}}) for key, value in entry.values.items()]
        case Begin():
            return [entry.model_copy(update={"params": {key: value}}) for key, value in entry.params.items()] or [entry]
        case End() if entry.tags:
            tags = [Tags(at=entry.at, values={key: value}) for key, value in entry.tags.items()]
            return [*tags, entry.model_copy(update={"tags": {}})]
        case _:
            return [entry]


def deliver_now(folder: Path, store: Store, uri: str) -> str:
    """Deliver the outbox of a folder before you go on; returns the id of its record.

    UserError where the store at ``uri`` is out of reach or refuses the record. What is not delivered stays in the outbox.
    """
    delivery = Delivery(folder, store)
    try:
        delivery.drain()
    except files.CannotWrite:
        raise
    except Exception as error:  # such as an account that may read but not write
        raise failures.failure(uri, "--tracking-uri", error) from None
    if not delivery.sent.run:
        raise UserError(
            f"{uri} refuses a record of the sweep ({delivery.sent.reason}); 'sweep doctor NAME --repair' mends what can be"
        )
    return delivery.sent.run
