"""`sweep unpack`: the sweep of a packed file, made here in the stores that are meant, whole or not at all."""

import errno
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import files, text
from orchestrator.errors import UserError
from orchestrator.files import CannotWrite
from orchestrator.layout import SWEEPS
from orchestrator.search import book as books
from orchestrator.search import home, new_sweep, plan
from orchestrator.search.book import Book
from orchestrator.search.spec import Spec
from orchestrator.stores import artifact_locations, optuna_storage, sqlite, urls
from orchestrator.stores.optuna_storage import Storage
from orchestrator.tracking import connection
from orchestrator.transfer import archive, attempt, carry
from orchestrator.transfer.archive import Manifest
from orchestrator.transfer.attempt import Attempt
from orchestrator.transfer.pack import STORAGE, TRACKING

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

FULL = (errno.ENOSPC, errno.EDQUOT)
PACKED = "packed"  # of an attempt's folder: the home that the file holds


def unpack(path: Path, name: str | None, storage: Storage, tracking_uri: str | None, progress: carry.Progress) -> Book:
    """Make the sweep of the packed file ``path`` in the current folder, as ``name`` or as it was called.

    ``storage`` is where it goes; its tables need not be there yet. UserError where the file is none of ours or damaged, or the
    name is taken; nothing is made then, no store either.
    """
    manifest, place = archive.read(path), Path.cwd()
    called = name or manifest.name
    new_sweep.check_name(called)
    uri = plan.tracking_uri(tracking_uri, str(storage.url))
    if manifest.experiment:
        connection.check(uri, "--tracking-uri", manifest.experiment)
    attempt.clear(place, storage)
    _refuse_taken(called, place, storage)
    if manifest.model:
        _refuse_taken_model(called, uri)
    files.check_folder(place / SWEEPS)
    id = uuid.uuid4().hex
    making = Attempt(
        id=id,
        name=called,
        experiment=manifest.experiment,
        storage=urls.shown(str(storage.url)),
        tracking_uri=uri,
        model=manifest.model,
    )
    try:
        with making.running(place, storage) as folder:
            archive.extract(path, folder / PACKED, manifest)
            packed, runs = _packed(path, folder / PACKED, manifest)
            storage = optuna_storage.reopened(storage)
            # Sweeps without runs get them when they go on.
            tracker = connection.connect(uri, "--tracking-uri", manifest.experiment) if manifest.experiment else None
            to = carry.Destination(storage, tracker, place, uri, called, id, folder / "files")
            spec = carry.carry(packed, runs, to, progress)
            carry.publish_copy(_with_study(spec, to, manifest), to)
    except (OSError, CannotWrite) as error:
        if not (trouble := _of_disk(error, place)):
            raise
        raise UserError(f"'{called}' cannot be unpacked: {trouble}, then say this again") from None
    return books.load(storage, called)


def _of_disk(error: OSError | CannotWrite, place: Path) -> CannotWrite | None:
    """What the disk did not take; None for an error of something else, such as a server."""
    if isinstance(error, CannotWrite):
        return error
    if isinstance(error, shutil.Error):  # of copying a folder, with a triple for each file
        _, path, why = error.args[0][0]
        return CannotWrite(f"{path} cannot be written ({why}); make room there")
    if error.filename or error.errno in FULL:
        return files.cannot_write(Path(error.filename or place), error)
    return None


def _refuse_taken(name: str, place: Path, storage: Storage) -> None:
    if books.find(storage, name) is not None:
        raise UserError(f"there is a sweep '{name}' here already; choose another --name")
    folder = place / SWEEPS / name
    if home.identity(folder):
        raise UserError(
            f"{folder} holds files of another sweep, which this storage does not know; choose another --name, or unpack in "
            "another folder"
        )
    if folder.exists():
        raise UserError(f"{folder} is in the way, which no sweep here needs; choose another --name, or remove it")


def _refuse_taken_model(name: str, uri: str) -> None:
    tracker = connection.find(uri, "--tracking-uri")
    if tracker is None:
        return
    from orchestrator.tracking import model_copy

    if model_copy.exists(tracker, name):
        raise UserError(f"{uri} has a model '{name}' already; choose another --name")


def _packed(path: Path, folder: Path, manifest: Manifest) -> "tuple[Book, MlflowStore | None]":
    """The sweep in the home that was packed; UserError where it is not what the manifest says."""
    try:
        storage = optuna_storage.connect(sqlite.address(folder / STORAGE))
        book = books.load(storage, manifest.name)
        if home.home_of(book.spec) != folder or book.spec.id != manifest.id:
            raise ValueError("its paths lead elsewhere")
        if not manifest.experiment:
            return book, None
        elsewhere = artifact_locations.elsewhere(folder / TRACKING, folder)
        if elsewhere:
            raise ValueError(f"artifacts are said to be at {elsewhere}")
        uri = sqlite.address(folder / TRACKING)
        return book, connection.find(uri, "--tracking-uri", manifest.experiment, book.spec.run)
    except Exception as error:  # what a strange file makes of a database is beyond any list
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path} is refused: what is in it is no sweep ({reason}); `{text.program()} pack NAME -o FILE` makes one"
        ) from None


def _with_study(spec: Spec, to: carry.Destination, manifest: Manifest) -> Spec:
    """With a user's own study at the place that it had, where the same is there, or nothing; else it stays with the files."""
    if not manifest.study_file:
        return spec
    packed, wanted = to.aside / Path(spec.study).name, to.home / manifest.study_file
    content = packed.read_bytes()
    if not wanted.exists() and wanted.resolve().is_relative_to(to.home.resolve()):
        wanted.parent.mkdir(parents=True, exist_ok=True)
        files.replace(wanted, content)
    if not wanted.is_file() or wanted.read_bytes() != content:
        return spec
    packed.unlink()
    return spec.model_copy(update={"study": manifest.study_file})
