"""Runs that MLflow has lost, made again from what Optuna and the folders of a sweep still know."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from models.env import derive_seed
from orchestrator import pictures
from orchestrator.delivery import outbox
from orchestrator.delivery.entries import Entry, File, Numbers, Picture, Status
from orchestrator.delivery.outbox import Outbox
from orchestrator.delivery.store import Store
from orchestrator.errors import UserError
from orchestrator.layout import SAMPLES, WEIGHTS, trial_folder
from orchestrator.messages import Ended
from orchestrator.repair import files
from orchestrator.search import completion
from orchestrator.search.book import Book
from orchestrator.search.spec import better
from orchestrator.search.trials import PendingTrial, Trial, run_of
from orchestrator.tracking import descriptions, publish, trial_record
from orchestrator.tracking.descriptions import SHOWN
from orchestrator.tracking.stored_run import RunReader
from orchestrator.worker import log
from studies.parts.study import StudyError

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

WHOLE = ("complete", "timeout")  # outcomes of a sweep that ended by itself
CONFIG, PICTURES = "config.json", "pictures"
UNKNOWN = {"device": "unknown", "host": "unknown", "remade": "from Optuna, by sweep doctor"}


def numbers(book: Book, trial: Trial) -> dict[str, dict[int, float]]:
    """What Optuna knows of a trial's objectives: values by report, counted from 1, the final one last."""
    keys = [key for key, _ in book.spec.objectives]
    known = {keys[0]: dict(trial.reports)}
    for key, value in zip(keys, trial.values, strict=False):
        steps = known.setdefault(key, {})
        last = max(steps, default=0)
        if steps.get(last) != value:
            steps[last + 1] = value
    return {key: steps for key, steps in known.items() if steps}


def entries(book: Book, trial: Trial, wanted: Collection[str]) -> list[Entry]:
    """What a trial's run holds of CONFIG, PICTURES and the objectives that are ``wanted``."""
    made: list[Entry] = []
    if CONFIG in wanted:
        made.append(File(path=CONFIG, content=json.dumps(_config(book, trial), indent=2).encode()))
    known = numbers(book, trial)
    for key in known.keys() & set(wanted):
        made += [Numbers(step=step, values={key: value}) for step, value in known[key].items()]
    picture = pictures.load(trial_folder(book.spec.folder, trial.number) / SAMPLES) if PICTURES in wanted else None
    if picture:
        step = max((max(steps) for steps in known.values()), default=0)
        made.append(Picture(step=step, key=book.study.pictures, png=picture))
    return made


def trial(book: Book, trial: Trial, store: Store) -> None:
    """Make the run of a finished trial, written as a supervisor would."""
    folder = trial_folder(book.spec.folder, trial.number)
    seed = derive_seed(book.spec.seed, "trial", trial.number)
    pending = PendingTrial(trial.number, dict(trial.params), _config(book, trial), seed, None)
    files.lead(folder, "")
    trial_record.begin(folder, book.spec, pending, book.label(trial), UNKNOWN["device"])
    box = Outbox(folder)
    box.tags(UNKNOWN)
    for entry in entries(book, trial, {PICTURES, *numbers(book, trial)}):
        box.add(entry)
    box.close()
    assert trial.outcome != "running" and trial.outcome != "waiting"
    end = Ended(trial.outcome, trial.values, trial.reason, trial.detail, trial.seconds or 0.0)
    text = log.read(folder) if end.outcome == "failed" else b""
    trial_record.end(folder, book.spec, trial.number, book.label(trial), end, text)
    files.deliver(folder, store)


def sweep(book: Book, store: Store) -> None:
    """Make the sweep's own run."""
    spec, folder = book.spec, Path(book.spec.folder)
    files.lead(folder, "")
    box = Outbox(folder)
    box.begin(spec.id, spec.name, publish.params(spec), {**publish.tags(spec), "outcome": "running"})
    box.content(CONFIG, publish.settings(spec))
    (key, direction), *_ = spec.objectives
    best = float("nan")
    finished = sorted(book.finished(), key=lambda trial: trial.ended.timestamp() if trial.ended else 0)
    for count, trial in enumerate(finished, 1):
        if trial.value is not None and (best != best or better(direction, trial.value, best)):
            best = trial.value
        if best == best:
            box.numbers(count, {f"best/{key}": best})
    box.close()
    files.deliver(folder, store)
    book.update(run=outbox.run_id(folder))
    close(book, store, book.spec.run, ending(book))


def ending(book: Book) -> str:
    """The outcome of a sweep that nobody drives and that did not say how it ended."""
    return "complete" if completion.trials_ended(book) else "stopped"


def status(outcome: str) -> Status:
    """The status of a sweep's run, by its outcome."""
    return "FINISHED" if outcome in WHOLE else "FAILED" if outcome == "failed" else "KILLED"


def close(book: Book, store: Store, run: str, outcome: str) -> None:
    """Close the sweep's run as its supervisor would have."""
    box = _own(book, run)
    pictures = publish.finish(book, box, lambda remark: None) if book.finished() else []
    box.note(descriptions.sweep(book, "" if outcome == "complete" else f"Ended early: {outcome}.", pictures))
    box.end(status(outcome), {"outcome": outcome})
    files.deliver(Path(book.spec.folder), store)


def draw(book: Book, store: Store, run: str) -> None:
    """Draw the figures of the sweep's run, and leave the rest of it as it is; UserError where one cannot be drawn."""
    box, remarks = _own(book, run), list[str]()
    publish.finish(book, box, remarks.append)
    box.close()
    files.deliver(Path(book.spec.folder), store)
    if remarks:
        raise UserError("; ".join(remarks))


def drawn(book: Book) -> set[str]:
    """Names of the files that ``draw`` makes, and of the folder that holds some."""
    samples = any(pictures.load(trial_folder(book.spec.folder, trial.number) / SAMPLES) for trial in book.best(SHOWN))
    return ({"figures"} if len(book.best(2)) == 2 else set()) | ({"best_samples.png"} if samples else set())


def uncrowned(book: Book, reader: RunReader) -> str:
    """Why the best trial's network is to be registered as the champion, '' where it needs not or cannot be.

    A comparison has none. Where the user has made another network the champion, it stays.
    """
    best = book.best()
    try:
        if not best or book.spec.comparison is not None or book.study.restore is None:
            return ""
    except StudyError:  # its file is gone
        return ""
    folder = trial_folder(book.spec.folder, best[0].number)
    run = run_of(book.spec, best[0])
    if not run or not (folder / WEIGHTS).exists():
        return ""
    crowned = book.notes().get(publish.CHAMPION) or {}
    if crowned.get("run") != run:
        return "its best trial is not the champion"
    return "" if reader.has_champion(book.spec.name) else "its champion is no model of MLflow any more"


def crown(book: Book, store: "MlflowStore") -> None:
    """Register the best trial's network as the champion, be it noted that it was or not."""
    book.note(publish.CHAMPION, None)
    publish.champion(book, store)


def _own(book: Book, run: str) -> Outbox:
    folder = Path(book.spec.folder)
    if outbox.run_id(folder) != run:
        files.lead(folder, run)
    return Outbox(folder)


def _config(book: Book, trial: Trial) -> dict[str, object]:
    config: dict[str, object] = book.config(trial).model_dump(mode="json")
    return config
