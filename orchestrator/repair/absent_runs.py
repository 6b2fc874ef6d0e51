"""A sweep of which no run is where they should be: they are elsewhere, or lost, and only the user knows which."""

from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import UserError
from orchestrator.search.book import Book
from orchestrator.search.trials import runs_of
from orchestrator.stores import urls
from orchestrator.text import counted, program
from orchestrator.tracking import connection
from orchestrator.tracking.stored_run import RunReader

LOST = "--runs-lost"  # the option that says so


def way_out(book: Book, reader: RunReader | None) -> tuple[str, str]:
    """What is wrong, and what the user can do; two empty texts where ``reader`` has a run of the sweep, or it has none yet."""
    spec = book.spec
    if not spec.run or reader and (reader.record(spec.run) or reader.records(spec.id, deleted=True)):
        return "", ""
    name, runs = spec.name, counted(len(runs_of(spec, book.trials())), "run")
    what = f"none of its {runs} is at {urls.shown(spec.tracking_uri)}"
    if uri := next(_elsewhere(book), ""):
        return what, f"none; they are at {uri}: `{program()} resume {name} --tracking-uri {uri}`"
    return what, (
        f"none; say where they are now: `{program()} resume {name} --tracking-uri URI`, or, if they are lost, "
        f"have them made again: `{program()} doctor {name} --repair {LOST}`"
    )


def _elsewhere(book: Book) -> Iterator[str]:
    """Trackers of other sweeps in the same storage, and the usual one, that have the run of this one."""
    spec = book.spec
    for uri in sorted({*book.known_trackers(), urls.tracking()} - {spec.tracking_uri}):
        try:
            reader = connection.find_reader(uri, "--tracking-uri", Path(spec.study).stem, spec.run)
            if reader and reader.record(spec.run):
                yield urls.shown(uri)
        except connection.unreachable():
            continue
        except UserError:
            continue
