"""Where a sweep's MLflow runs are now, when their store has moved: `sweep resume NAME --tracking-uri URI`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import UserError
from orchestrator.search import book as books
from orchestrator.search import plan, steer
from orchestrator.search.book import Book
from orchestrator.search.trials import runs_of
from orchestrator.stores.optuna_storage import Storage
from orchestrator.supervisor import lease
from orchestrator.text import program
from orchestrator.tracking import connection


def resumed(storage: Storage, name: str, given: Mapping[str, Any]) -> tuple[Book, dict[str, Any]]:
    """As steer.resumed, where the options ``given`` may also say another address of MLflow."""
    options = dict(given)
    uri = options.pop("tracking_uri", None)
    book, changes = steer.resumed(storage, name, **options)
    return book, changes | ({"tracking_uri": _address(book, uri)} if uri else {})


def move_here(storage: Storage, name: str) -> None:
    """Store that the folder of a sweep was moved here from another machine; UserError where somebody drives the sweep."""
    book = books.load(storage, name, moved_here=True)
    if driver := lease.present(book):
        raise lease.driven(book, driver)
    with lease.acquire_lease(book):
        book.update()


def _address(book: Book, uri: str) -> str:
    """``uri`` as it is stored; UserError where not all runs of the sweep are there. Nothing is changed."""
    spec, address = book.spec, plan.tracking_uri(uri, book.address)
    runs = runs_of(spec, book.trials())
    store = connection.find(address, "--tracking-uri", Path(spec.study).stem, spec.run)
    there = {record.run for record in store.records(spec.id, deleted=True)} if store else set[str]()
    if runs <= there:
        return address
    raise UserError(
        f"--tracking-uri {address} has {len(runs & there)} of the {len(runs)} runs of '{spec.name}'; carry all of them there "
        f"with `{program()} pack {spec.name}` and `{program()} unpack {spec.name}.zip --tracking-uri {address}`, or, where "
        f"they are lost, have `{program()} doctor {spec.name} --repair` make them anew at {spec.tracking_uri}"
    )
