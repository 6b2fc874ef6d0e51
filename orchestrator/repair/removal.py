"""Removing a sweep: its trials, its files, and its runs and model in MLflow."""

import shutil
from pathlib import Path

from orchestrator.search import trained
from orchestrator.search.book import Book
from orchestrator.stores import checkpoint_store
from orchestrator.stores.optuna_storage import Storage
from orchestrator.supervisor import lease
from orchestrator.tracking import connection


def describe(book: Book, keep_runs: bool) -> str:
    """What removing the sweep takes away."""
    runs = "" if keep_runs else " and MLflow runs"
    return f"sweep '{book.spec.name}' with its {len(book.trials())} trials, files{runs}"


def cost(book: Book, storage: Storage) -> str:
    """A sentence about other sweeps that cannot go on without its networks; '' where there are none."""
    names = trained.needed_by(book, storage)
    verb = "begins with a network of it and" if len(names) == 1 else "begin with networks of it and"
    return f"{', '.join(names)} {verb} cannot go on without it" if names else ""


def remove(book: Book, keep_runs: bool) -> None:
    """Remove the sweep; UserError where somebody drives it or MLflow cannot be reached.

    Its book goes last: what fails in between can be done again.
    """
    spec = book.spec
    book.claim()
    if Path(spec.folder).exists():
        with lease.acquire_lease(book):
            _runs(book, keep_runs)
            shutil.rmtree(spec.folder)
    else:
        _runs(book, keep_runs)
    if spec.checkpoints:
        checkpoint_store.remove(spec.checkpoints_of())
    book.delete()


def _runs(book: Book, keep_runs: bool) -> None:
    if keep_runs or not book.spec.run:
        return
    spec = book.spec
    store = connection.find(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, spec.run)
    if store is not None:
        store.forget(spec.id, spec.name)
