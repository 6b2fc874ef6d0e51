"""A sweep of which no run is where they should be: they are elsewhere, or lost."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.search.book import Book
from orchestrator.search.trials import runs_of
from orchestrator.stores import urls
from orchestrator.text import counted, program
from orchestrator.tracking import connection
from orchestrator.tracking.stored_run import RunReader


def absent(book: Book, reader: RunReader | None) -> str:
    """What is wrong, where ``reader`` has none of the runs that the sweep had; else ''."""
    spec = book.spec
    if not spec.run or reader and (reader.record(spec.run) or reader.records(spec.id, deleted=True)):
        return ""
    return f"none of its {counted(len(runs_of(spec, book.trials())), 'run')} is at {urls.shown(spec.tracking_uri)}"


def found(book: Book) -> str:
    """How the sweep is told where its runs are, if they are at the tracker of another sweep here or at the usual one; else ''."""
    if uri := next(_elsewhere(book), ""):
        return f"they are at {uri}: `{program()} resume {book.spec.name} --tracking-uri {uri}`"
    return ""


def advice(book: Book) -> str:
    """What to say before runs are made again that may be elsewhere."""
    command = f"`{program()} resume {book.spec.name} --tracking-uri URI`"
    return f"if they were moved, say first where they are: {command}"


def _elsewhere(book: Book) -> Iterator[str]:
    """Trackers of other sweeps in the same storage, and the usual one, that have the run of this one."""
    spec = book.spec
    for uri in sorted({*book.known_trackers(), urls.tracking()} - {spec.tracking_uri}):
        with suppress(*connection.unreachable()):
            reader = connection.find_reader(uri, "--tracking-uri", Path(spec.study).stem, spec.run)
            if reader and reader.record(spec.run):
                yield urls.shown(uri)
