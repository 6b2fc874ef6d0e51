"""Whether a sweep that is not complete can go on: its study and its sampler say so. Looking changes nothing."""

from collections.abc import Iterator

from orchestrator.repair.files import Finding
from orchestrator.search import combinations, trained
from orchestrator.search.book import Book
from orchestrator.search.spec import current
from orchestrator.text import first_line, program


def findings(book: Book) -> Iterator[Finding]:
    """Why `sweep resume` or `sweep sample` would be refused, with the way out."""
    spec = book.spec
    yield from _trained_network(book)
    if len(book.finished()) >= spec.trials:
        return
    try:
        now = current(spec)
        misfit = combinations.blocked(now, book.study)
    except Exception as error:  # a study is a user's file: it can fail in any way
        reason = first_line(error, most=500)
        mend = f"put it back as it was, or correct it until `{program()} studies {spec.study}` shows it"
        update = f"install version {spec.version} of this program, which began it, or start a new sweep"
        way_out = f"none; {mend if spec.study.endswith('.py') else update}"
        yield Finding(None, f"it cannot go on, its study cannot be used: {reason}", way_out)
        return
    if misfit:
        yield Finding(None, f"it cannot go on: {misfit.reason}", f"none; {misfit.remedy}")
    if changed := now.same_search(spec):
        way_out = "start a new sweep" if spec.incompatible(now) else f"{program()} resume {spec.name} --accept-drift"
        yield Finding(None, f"it cannot go on, its study has changed since: {changed}", f"none; {way_out}")


def _trained_network(book: Book) -> Iterator[Finding]:
    """Whether the network is gone that its trials begin with, be the sweep complete or not."""
    if absent := trained.lacking(book):
        yield Finding(None, f"it can neither go on nor draw new images, {absent}", f"none; {trained.PUT_BACK}")
