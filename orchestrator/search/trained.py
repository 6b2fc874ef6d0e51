"""Trained networks that a study begins with, by the names that users have for them."""

import json
from pathlib import Path
from typing import Any

from orchestrator.errors import UserError
from orchestrator.layout import MODEL, WEIGHTS, trial_folder
from orchestrator.search import book as books
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial, run_of
from orchestrator.stores.optuna_storage import Storage

CHAMPION = "champion"
LEAST = 6  # letters of a run's id


def find(text: str, of: tuple[str, ...], storage: Storage) -> tuple[Path, str]:
    """The folder of the network that ``text`` names, and the data that it was trained on; UserError where there is none.

    ``text`` is "champion" (the best trial of the newest sweep of one of the studies ``of``), a sweep (its best trial),
    SWEEP/TRIAL, or the id of a trial's MLflow run or its beginning.
    """
    known = {name: books.load(storage, name) for name in books.names(storage)}
    sweeps = {name: book for name, book in known.items() if book.spec.study in of}
    if text == CHAMPION:
        for book in reversed(sweeps.values()):
            if best := book.best():
                return _folder(text, book, best[0])
        raise UserError(f"--model champion: no sweep here has trained one; begin with:  sweep run {of[0]}")
    name, _, number = text.partition("/")
    if name in known and name not in sweeps:
        raise UserError(
            f"--model {text}: {name} asks {known[name].spec.study}, and a network of {' or '.join(of)} is needed"
        )
    for sweep, book in sweeps.items():
        for trial in book.best(len(book.trials())):
            named = sweep == name and number in ("", str(trial.number))
            if named or len(text) >= LEAST and run_of(book.spec, trial).startswith(text):
                return _folder(text, book, trial)
    raise UserError(
        f"--model {text}: no such network; say champion, a sweep of {' or '.join(of)} "
        f"({', '.join(sweeps) or 'there is none yet'}), SWEEP/TRIAL of a completed trial, or its MLflow run"
    )


def config(folder: Path) -> dict[str, Any]:
    """The settings that the network in ``folder`` was trained with."""
    about: dict[str, Any] = json.loads((folder / MODEL).read_text())
    return dict(about["config"])


def _folder(text: str, book: Book, trial: Trial) -> tuple[Path, str]:
    folder = trial_folder(book.spec.folder, trial.number)
    if not (folder / WEIGHTS).exists():
        raise UserError(f"--model {text}: the weights of trial {trial.number} are not in {folder} any more")
    if not (folder / MODEL).exists():  # it was trained before that was kept
        about = {"study": book.spec.study, "config": book.config(trial).model_dump(mode="json")}
        (folder / MODEL).write_text(json.dumps(about))
    return folder, book.spec.data
