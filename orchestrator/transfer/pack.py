"""`sweep pack`: a sweep as one file, which `sweep unpack` makes a sweep of in another folder, on another machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from orchestrator import text
from orchestrator.errors import UserError
from orchestrator.layout import DRIVER_LOCK, SWEEPS, trial_folders
from orchestrator.search import home
from orchestrator.search.book import Book
from orchestrator.search.trials import runs_of
from orchestrator.stores import artifact_locations, optuna_storage, sqlite
from orchestrator.supervisor import lease
from orchestrator.tracking import connection
from orchestrator.transfer import archive, carry, workplace
from orchestrator.transfer.archive import Manifest
from orchestrator.worker import lock

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

STORAGE, TRACKING = "sweeps.db", "mlflow.db"  # in a packed home
WORKPLACE = "sweep-pack-"  # begins the name of the folder in TMPDIR where it is made


def pack(book: Book, path: Path, progress: carry.Progress) -> Manifest:
    """Write the sweep to the file ``path``, and change nothing of it; UserError where that cannot be.

    The file is written aside and takes its name when it is whole. What a `pack` that was killed left in TMPDIR is removed.
    """
    part = path.with_name(f"{path.name}.part")
    with _undriven(book), workplace.working(WORKPLACE) as folder:
        try:
            packed = folder.resolve() / "home"
            packed.mkdir()
            manifest = archive.write(packed, part, _home(book, packed, progress))
            part.replace(path)
            return manifest
        except shutil.Error as error:  # of many files that are copied, what went wrong with each
            source, _, reason = error.args[0][0]
            way = "make room in TMPDIR" if "No space" in str(reason) else "move it away, or make it yours to read"
            raise UserError(
                f"'{book.spec.name}' cannot be packed: {source} cannot be copied ({reason}); {way}"
            ) from None
        except OSError as error:
            raise UserError(
                f"'{book.spec.name}' cannot be packed: {error.filename or path} ({error.strerror or error}); make room "
                "there, or say another -o, and in TMPDIR another folder for what is made on the way"
            ) from None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _home(book: Book, folder: Path, progress: carry.Progress) -> Manifest:
    """Make a home of the sweep alone."""
    spec, tracker, target = book.spec, _tracker(book), None
    uri, experiment = sqlite.address(folder / TRACKING), ""
    storage = optuna_storage.connect(sqlite.address(folder / STORAGE))
    if tracker is not None:
        from orchestrator.tracking import model_copy, run_copy

        experiment = run_copy.experiment(tracker)
        target = connection.make(uri, "--tracking-uri", experiment, folder / artifact_locations.RUNS)
        artifact_locations.move(
            folder / TRACKING, Path.cwd(), folder
        )  # of MLflow's first experiment, which it has itself
    to = carry.Destination(storage, target, folder, uri, spec.name, spec.id, folder / SWEEPS / ".aside")
    carry.publish_copy(carry.carry(book, tracker, to, progress), to)
    manifest = Manifest(
        version=text.version(),
        name=spec.name,
        id=spec.id,
        study_file=_original_place(book),
        experiment=experiment,
        model=target is not None and model_copy.exists(target, spec.name),
        trials=len(book.trials()),
        runs=len(target.records(spec.id)) if target else 0,
    )
    sqlite.fold(folder / STORAGE)
    if target is not None:
        sqlite.fold(folder / TRACKING)
    return manifest


def _tracker(book: Book) -> "MlflowStore | None":
    """The tracker with the sweep's runs; None where it has none yet. UserError where they are not to be found."""
    spec = book.spec
    if not spec.run:
        return None
    store = connection.find(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, spec.run)
    repair = f"`{text.program()} doctor {spec.name} --repair`"
    if store is None or store.record(spec.run) is None:
        raise UserError(
            f"the runs of sweep '{spec.name}' are not at {spec.tracking_uri}; say where they are with "
            f"`{text.program()} resume {spec.name} --tracking-uri URI`, or, if they are lost, make them anew with "
            f"`{text.program()} doctor {spec.name} --repair`"
        )
    runs = runs_of(spec, book.trials())
    if missing := runs - {record.run for record in store.records(spec.id)}:
        raise UserError(
            f"{len(missing)} of the {len(runs)} runs of sweep '{spec.name}' were deleted in MLflow; get them back with {repair}, "
            "then pack it"
        )
    return store


def _original_place(book: Book) -> str:
    """Where a user's own study is: relative to the home where it is below it."""
    path, top = carry.study_file(book.spec), home.home_of(book.spec)
    if path is None:
        return ""
    return str(path.relative_to(top)) if path.is_relative_to(top) else str(path)


@contextmanager
def _undriven(book: Book) -> Iterator[None]:
    """Have nobody drive the sweep inside the block; UserError where somebody does, or its workers have not left yet."""
    guard, name = FileLock(Path(book.spec.folder, DRIVER_LOCK)), book.spec.name
    with suppress(OSError):  # a folder that may only be read cannot be driven either
        try:
            guard.acquire(timeout=0)
        except Timeout:
            raise lease.driven(book, lease.driver(book)) from None
    try:
        if (driver := lease.present(book)) is not None:
            raise lease.driven(book, driver)
        if any(lock.held(folder) for folder in trial_folders(book.spec.folder)):
            raise UserError(f"workers of sweep '{name}' are about to leave with their checkpoints; pack it in a minute")
        yield
        if (driver := lease.present(book)) is not None:
            raise lease.driven(book, driver)
    finally:
        guard.release()
