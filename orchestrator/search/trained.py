"""Trained networks that a study begins with, by the names that users have for them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import files
from orchestrator.errors import UserError
from orchestrator.layout import MODEL, WEIGHTS, trial_folder
from orchestrator.search import book as books
from orchestrator.search.book import Book
from orchestrator.search.spec import Spec
from orchestrator.search.trials import Trial, run_of
from orchestrator.stores.optuna_storage import Storage
from studies.parts.study import Study, StudyError

if TYPE_CHECKING:
    import torch

CHAMPION = "champion"
TRAINED = "model"  # the setting of a study that begins with a trained network: the network's folder
PUT_BACK = "put it back from a copy or a back-up"  # what helps where it is gone
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
    about = _about(folder)
    if about is None:
        raise UserError(f"{folder / MODEL} is damaged; `sweep doctor --repair` writes it anew")
    return dict(about["config"])


def weights(folder: Path) -> "dict[str, torch.Tensor]":
    """The trained network of the trial in ``folder``; UserError where its file is damaged."""
    from safetensors.torch import load_file

    check(folder)
    return load_file(folder / WEIGHTS)


def check(folder: Path) -> None:
    """UserError where the weights of the trial in ``folder`` are damaged."""
    if reason := damage(folder):
        raise UserError(
            f"the weights in {folder / WEIGHTS} are damaged ({reason}); put a back-up there, or choose another trial"
        )


def damage(folder: Path) -> str:
    """Why the weights in ``folder`` cannot be read, '' where they can; told without torch."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, framework="numpy"):
            return ""
    except (SafetensorError, OSError, ValueError) as error:
        return str(error)


def describe(folder: Path, book: Book, trial: Trial) -> None:
    """Write into ``folder`` what the weights are of."""
    about = {"study": book.spec.study, "config": book.config(trial).model_dump(mode="json")}
    files.replace(folder / MODEL, json.dumps(about).encode())


def is_described(folder: Path) -> bool:
    """Whether the folder says what the weights are of."""
    return _about(folder) is not None


def _about(folder: Path) -> dict[str, Any] | None:
    try:
        about = json.loads((folder / MODEL).read_bytes())
        return about if isinstance(about["config"], dict) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _folder(text: str, book: Book, trial: Trial) -> tuple[Path, str]:
    folder = trial_folder(book.spec.folder, trial.number)
    if not (folder / WEIGHTS).exists():
        raise UserError(f"--model {text}: the weights of trial {trial.number} are not in {folder} any more")
    check(folder)
    if not is_described(folder):  # it was trained before that was kept, or the file is damaged
        describe(folder, book, trial)
    return folder, book.spec.data


def absent(study: Study[Any, Any], base: Mapping[str, Any], known: str = "") -> str:
    """Why trials with the settings ``base`` cannot begin with their trained network, a clause; '' where they can, or have none.

    ``known`` is the digest of the network that it has to be, where there is one.
    """
    if not study.model_of:
        return ""
    folder = _folder_of(base)
    if not (folder / WEIGHTS).exists():
        return f"the trained network that it begins with is not in {folder} any more"
    if reason := damage(folder):
        return f"the trained network that it begins with, in {folder}, is damaged ({reason})"
    if not is_described(folder):
        return f"the {MODEL} of the trained network that it begins with, in {folder}, cannot be read"
    if known and digest(study, base) != known:
        return f"the trained network in {folder} is not the one that it began with"
    return ""


def begun_with(study: Study[Any, Any], base: Mapping[str, Any]) -> str:
    """The digest of the network that trials with these settings begin with, '' for none; UserError where it is not there."""
    if reason := absent(study, base):  # by --set, for --model has found one
        raise UserError(f"{reason}; say --model alone")
    return digest(study, base)


def digest(study: Study[Any, Any], base: Mapping[str, Any]) -> str:
    """By which a trained network is known again, wherever it lies; '' where there is none."""
    if not study.model_of:
        return ""
    known = hashlib.sha256()
    try:
        with open(_folder_of(base) / WEIGHTS, "rb") as file:
            while part := file.read(2**20):
                known.update(part)
    except OSError:
        return ""
    return known.hexdigest()[:12]


def _folder_of(base: Mapping[str, Any]) -> Path:
    return Path(str(base.get(TRAINED) or ""))


def lacking(book: Book) -> str:
    """The same of a sweep; '' also where its study cannot be used, which is another finding."""
    try:
        return absent(book.study, book.spec.base, book.spec.model_digest)
    except Exception:  # a study is a user's file: it can fail in any way
        return ""


def needed_by(book: Book, storage: Storage) -> list[str]:
    """Names of other sweeps that begin with a network of this one, and cannot go on without it."""
    specs = [books.find(storage, name) for name in books.names(storage) if name != book.spec.name]
    return [spec.name for spec in specs if spec is not None and _begins_with(spec, Path(book.spec.folder))]


def _begins_with(spec: Spec, folder: Path) -> bool:
    model = spec.base.get(TRAINED)
    try:
        return isinstance(model, str) and Path(model).is_relative_to(folder) and bool(spec.load_study().model_of)
    except StudyError:  # its file is gone
        return False


def chosen(name: str, model: str | None, study: Study[Any, Any], storage: Storage) -> tuple[dict[str, Any], str]:
    """Where the trained network is, if the study wants one, with the settings that it was trained with; and its data."""
    if not study.model_of:
        if model:
            raise UserError(f"--model {model}: the study {name} trains its own networks")
        return {}, ""
    if not model:
        raise UserError(
            f"{name} needs a trained network; say --model champion, a sweep of {' or '.join(study.model_of)}, "
            "SWEEP/TRIAL, or the MLflow run of a trial"
        )
    folder, trained_on = find(model, study.model_of, storage)
    trained_config = config(folder)
    shared = {name: trained_config[name] for name in study.config.model_fields if name in trained_config}
    return {TRAINED: str(folder)} | shared, trained_on
