"""What `sweep resume` is told of where a sweep is now: its MLflow runs, or its folder, came from elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import UserError
from orchestrator.search import plan, steer
from orchestrator.search.book import Book
from orchestrator.search.trials import runs_of
from orchestrator.text import program
from orchestrator.tracking import connection


def resumed(book: Book, given: Mapping[str, Any], moved_here: bool = False) -> dict[str, Any]:
    """As steer.resumed, where the options ``given`` may also say another address of MLflow.

    Where the sweep's folder has ``moved_here`` from another machine, the place that it has now is stored.
    """
    options = dict(given)
    uri = options.pop("tracking_uri", None)
    changes = steer.resumed(book, **options)
    if uri:
        changes["tracking_uri"] = _address(book, uri)
    if moved_here:
        changes["folder"] = book.spec.folder
    return changes


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
