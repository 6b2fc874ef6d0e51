"""Damaged files of a sweep, as `sweep doctor` finds them: what can be made again is mended, what cannot be is named."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import files, pictures
from orchestrator.delivery import outbox
from orchestrator.delivery.outbox import Sent
from orchestrator.layout import ENDED, MODEL, OUTBOX, REFUSED, SAMPLES, SENT, WEIGHTS
from orchestrator.repair.files import Finding, folder_of, lead
from orchestrator.search import trained
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial, run_of
from orchestrator.stores import failures, read_only, sqlite
from orchestrator.tracking import trial_record
from orchestrator.tracking.publish import CHAMPION
from orchestrator.worker import lock, result

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

Reach = Callable[[], "MlflowStore"]
BACK_UP = "none; put a back-up in its place"


def databases(addresses: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A sentence for each SQLite file that is damaged, by its address and the option that gives it."""
    for path, (address, option) in {sqlite.file(address): (address, option) for address, option in addresses}.items():
        if path is None or not path.exists():
            continue
        if damage := str(sqlite.obstacle(path)) if path.is_dir() else sqlite.damage(read_only.readable_file(path)):
            yield str(failures.failure(address, option, sqlite3.DatabaseError(damage)))


def findings(book: Book, reach: Reach) -> Iterator[Finding]:
    """Damaged files of a sweep that nobody drives; ``reach`` gives the tracker to mend them from."""
    yield from _outbox(book, None, book.spec.run, reach)
    for trial in book.trials():
        folder = folder_of(book, trial.number)
        if folder.exists() and not folder.is_dir():
            yield Finding(trial.number, f"{folder} is a file where its folder should be", "none; move it away")
        elif not lock.held(folder):
            yield from _outbox(book, trial.number, trial.run, reach)
            yield from _results(book, trial, folder, reach)


def _outbox(book: Book, number: int | None, run: str, reach: Reach) -> Iterator[Finding]:
    place = folder_of(book, number) / OUTBOX
    if place.exists() and not place.is_dir():
        yield Finding(number, f"{place} is a file where its outbox should be", "none; move it away")
        return
    for stranger in _strangers(place):
        yield Finding(number, f"{stranger} is no part of its outbox", "none; move it away, it is not delivered")
    for segment in outbox.segments(place):
        path = outbox.path_of(place, segment)
        if not os.access(path, os.R_OK):
            yield Finding(number, f"{path} may not be read", f"none; let its owner say: chmod u+r {path}")
    if (place / SENT).exists() and not _is_sent(place / SENT):
        yield Finding(number, f"its {SENT} is damaged", "written anew", partial(_lead, book, number, run, reach))


def _strangers(folder: Path) -> list[Path]:
    """What lies in the outbox at ``folder`` and is none of its files, such as a copy that a file manager made."""
    known = {SENT, REFUSED, *(outbox.path_of(folder, segment).name for segment in outbox.segments(folder))}
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in there if path.name not in known and path.suffix != ".part")


def _is_sent(path: Path) -> bool:
    try:
        Sent.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _lead(book: Book, number: int | None, run: str, reach: Reach) -> None:
    """Have the outbox lead to the run that Optuna knows, else to the one with its key."""
    folder, spec = folder_of(book, number), book.spec
    key = spec.id if number is None else trial_record.key(spec, number)
    run = run or next((stored.run for stored in reach().records(spec.id) if stored.key == key), "")
    (folder / OUTBOX / SENT).unlink()
    lead(folder, run)


def _results(book: Book, trial: Trial, folder: Path, reach: Reach) -> Iterator[Finding]:
    number, weights = trial.number, folder / WEIGHTS
    if trial.outcome == "complete" and not weights.exists():
        yield from _gone(book, trial, folder)
    if weights.exists() and (damage := trained.damage(folder)):
        yield Finding(number, f"its {WEIGHTS} is damaged ({damage})", BACK_UP)
    if (folder / MODEL).exists() and weights.exists() and not trained.is_described(folder):
        yield Finding(number, f"its {MODEL} is damaged", "written anew", partial(trained.describe, folder, book, trial))
    if (folder / SAMPLES).exists() and pictures.load(folder / SAMPLES) is None:
        repair = partial(_draw, book, trial, folder / SAMPLES, reach)
        yield Finding(number, f"its {SAMPLES} is damaged", "taken from its run, or else removed", repair)
    if not trial.finished and (folder / ENDED).exists() and result.load(folder) is None:
        repair = partial(result.remove, folder)
        yield Finding(number, f"its {ENDED} is damaged", "removed; it goes on from its checkpoint", repair)


def _gone(book: Book, trial: Trial, folder: Path) -> Iterator[Finding]:
    """What a completed trial without weights has lost, by accident or because somebody wanted the room."""
    number = trial.number
    if _draws(book) or (folder / MODEL).exists():
        what = f"its {WEIGHTS} is gone" if folder.exists() else f"its folder is gone, and with it its {WEIGHTS}"
        crowned = book.notes().get(CHAMPION) or {}
        kept = f", and its network as {crowned['address']}" if crowned.get("run") == run_of(book.spec, trial) else ""
        cost = f"`sweep sample` and `--model` cannot use it; MLflow has its numbers and pictures{kept}"
        yield Finding(number, what, f"none; {cost}")
    elif not folder.exists():
        yield Finding(number, "its folder is gone", "none; MLflow has its numbers and pictures")


def _draws(book: Book) -> bool:
    """Whether trials draw new images by weights of their own."""
    try:
        return book.study.sample is not None and not book.study.model_of
    except Exception:  # a study is a user's file: whether it can be used is another finding
        return False


def _draw(book: Book, trial: Trial, path: Path, reach: Reach) -> None:
    """Put the last samples that the trial's run has in the place of a damaged file."""
    store, run = reach(), run_of(book.spec, trial)
    steps = [(step, name) for key, step, name in store.pictures(run) if key == book.study.pictures] if run else []
    content = store.content(run, max(steps)[1]) if steps else b""
    if pictures.whole(content):
        files.replace(path, content)
    else:
        path.unlink()
