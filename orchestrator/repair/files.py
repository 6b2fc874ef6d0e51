"""What a sweep's folder shows to `sweep doctor`: processes and files that were left, checkpoints, outboxes.

Looking changes nothing; each finding brings what would repair it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator import files
from orchestrator.delivery import outbox
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.entries import Begin, End, Entry, File, Numbers, Picture, Tags
from orchestrator.delivery.outbox import Outbox, Position
from orchestrator.delivery.store import Refused, Store
from orchestrator.layout import (
    CHECKPOINT,
    ENDED,
    OUTBOX,
    PREVIOUS_CHECKPOINT,
    REFUSED,
    SENT,
    TRIAL,
    WORKER,
    WORKER_LOCK,
    trial_folder,
    trial_folders,
)
from orchestrator.search.book import Book
from orchestrator.supervisor import queue
from orchestrator.worker import checkpoint, lock, result

# What only an unfinished trial needs.
PASSING = (CHECKPOINT, PREVIOUS_CHECKPOINT, ENDED, WORKER_LOCK, WORKER)
WAITS = "entries of its outbox wait for delivery"


@dataclass(frozen=True)
class Finding:
    """Something that does not fit. ``what`` and ``action`` are phrases; ``repair`` is None where nothing can be done."""

    trial: int | None  # None: the sweep itself
    what: str
    action: str
    repair: Callable[[], object] | None = None


@dataclass
class Waiting:
    """What an outbox holds that is not delivered: how the record will stand when it is."""

    entries: int = 0
    begins: bool = False
    status: str = ""  # '' where none of it says so
    tags: dict[str, str] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)  # at the top of the record
    cut: bool = False  # the last line is half a line


def waiting(folder: Path) -> Waiting:
    """What waits in the outbox of a trial's or sweep's ``folder``."""
    place, waits = folder / OUTBOX, Waiting()
    sent = outbox.sent(place)
    for segment in outbox.segments(place):
        if segment < sent.segment:
            continue
        offset = sent.offset if segment == sent.segment else 0
        while True:
            entries, offset, damaged = outbox.read(place, segment, offset, 500)
            if not entries and not damaged:
                break
            waits.entries += len(entries) + damaged
            for entry in entries:
                _add(waits, entry)
        with suppress(FileNotFoundError):  # a courier has just delivered and dropped it
            waits.cut = outbox.path_of(place, segment).stat().st_size > offset
    return waits


def _add(waits: Waiting, entry: Entry) -> None:
    match entry:
        case Begin():
            waits.begins, waits.status = True, "RUNNING"
            waits.tags |= entry.tags
        case End():
            waits.status = entry.status or waits.status
            waits.tags |= entry.tags
        case Tags():
            waits.tags |= entry.values
        case Numbers():
            waits.numbers |= entry.values.keys()
        case Picture():
            waits.files.add("images")
        case File():
            waits.files.add(entry.path.partition("/")[0])


def deliver(folder: Path, store: Store) -> None:
    """Deliver all of an outbox that nobody writes to, and drop half a line at its end, which nobody will complete."""
    delivery = Delivery(folder, store)
    delivery.drain()
    for segment in outbox.segments(delivery.folder):
        outbox.path_of(delivery.folder, segment).unlink()


def amend(folder: Path, run: str, entries: Sequence[Entry], store: Store) -> None:
    """Add entries to a run through the outbox of ``folder``; Refused where the tracker does not take them."""
    box, refused = Outbox(folder), outbox.sent(folder / OUTBOX).refused
    box.select(run)
    for entry in entries:
        box.add(entry)
    box.close()
    deliver(folder, store)
    sent = outbox.sent(folder / OUTBOX)
    if sent.refused > refused:
        raise Refused(sent.reason)


def lead(folder: Path, run: str) -> None:
    """Have the outbox of ``folder`` lead to another record; with '' to a new one, which has none of the numbers yet."""
    place = folder / OUTBOX
    sent = outbox.sent(place)
    changes: dict[str, Any] = {"run": run} if run else {"run": "", "steps": {}}
    place.mkdir(parents=True, exist_ok=True)
    files.replace(place / SENT, sent.model_copy(update=changes).model_dump_json().encode())


def folders(book: Book) -> list[Finding]:
    """What is wrong with the files and processes of a sweep that nobody drives."""
    trials = {trial.number: trial for trial in book.trials()}
    findings: list[Finding] = []
    for folder in sorted(trial_folders(book.spec.folder)):
        number = int(text) if (text := folder.name.removeprefix(TRIAL)).isdecimal() else None
        if number not in trials:
            findings.append(
                Finding(None, f"{folder} belongs to no trial of it", "remove it if nothing in it is wanted")
            )
        elif lock.held(folder):
            findings.append(_worker(number, folder))
        else:
            findings += _files(number, folder, trials[number].finished)
    own = [path for path in Path(book.spec.folder).glob("outbox/*.part")]
    if own:
        findings.append(_unneeded(None, own))
    return findings


def refusals(book: Book, reach: Callable[[], Store], run_of: Callable[[int | None], str]) -> Iterator[Finding]:
    """What the tracker did not take, to be delivered again. Where the run was deleted, that waits until it is restored."""
    for number in (None, *(trial.number for trial in book.trials())):
        folder = folder_of(book, number) / OUTBOX
        sent = outbox.sent(folder)
        if sent.refused:
            what = f"the tracker refused {sent.refused} of its entries ({sent.reason})"
            run = run_of(number) if sent.gone else sent.run
            if run and outbox.refused(folder):
                yield Finding(number, what, "delivered once more", partial(_again, folder.parent, run, reach))
            elif not sent.gone:  # else it is found missing, and this again when it is restored
                yield Finding(number, what, f"none; they are kept in {folder / REFUSED}, as far as they can be read")


def _again(folder: Path, run: str, reach: Callable[[], Store]) -> None:
    """Deliver refused entries again; Refused where they are refused again."""
    lead(folder, run)
    delivery = Delivery(folder, reach())
    delivery.deliver_refused()
    if delivery.sent.refused:
        raise Refused(delivery.sent.reason)


def folder_of(book: Book, number: int | None) -> Path:
    """The folder of a trial, or of the sweep itself."""
    return Path(book.spec.folder) if number is None else trial_folder(book.spec.folder, number)


def _worker(number: int, folder: Path) -> Finding:
    # A worker whose supervisor is gone leaves by itself within this time, and writes its checkpoint before.
    grace = queue.EVICT_SECONDS
    return Finding(
        number,
        "its worker still runs",
        f"ended, if it does not leave by itself within {grace:g} s",
        lambda: lock.evict([folder], grace),
    )


def _files(number: int, folder: Path, finished: bool) -> Iterator[Finding]:
    unneeded = list(folder.glob("**/*.part"))
    if finished:
        unneeded += [folder / name for name in PASSING if (folder / name).exists()]
    if unneeded:
        yield _unneeded(number, unneeded)
    if not finished and result.load(folder) is None and _unreadable(folder):
        yield Finding(number, "its checkpoint cannot be read", "none; it begins anew when the sweep is resumed")


def _unneeded(number: int | None, paths: list[Path]) -> Finding:
    # How a trial ended goes last, for it shows that there is something to clear.
    paths = sorted(paths, key=lambda path: (path.name == ENDED, path.name))
    names = ", ".join(path.name for path in paths)
    return Finding(number, f"files are left that it does not need ({names})", "removed", partial(_remove, paths))


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _unreadable(folder: Path) -> bool:
    """Whether there are checkpoints and none that a worker would go on from."""
    if not any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS_CHECKPOINT)):
        return False
    return not checkpoint.is_there(folder, lambda state: outbox.holds(folder, Position(**state["outbox"])))
