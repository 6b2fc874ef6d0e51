"""Whether a sweep is complete: its trials have ended, and all that is made of them is there. That is stored last of all.

Until then the sweep is closing, whether somebody drives it or not, and `sweep resume` does what is missing.
"""

from orchestrator.search.book import Book

CLOSING = "closing"  # the state of a sweep whose trials have ended, until all that is made of them is there
CLOSED = "closed"  # the user attribute with the number of ended trials when the sweep was closed; 0 while it is open


def trials_ended(book: Book) -> bool:
    """Whether the sweep has all of its trials, and none runs."""
    return len(book.finished()) >= book.total() and not book.trials_running()


def is_closed(book: Book) -> bool | None:
    """Whether all that is made of the trials that have ended is there; None for a sweep that an earlier version made."""
    stored = book.notes().get(CLOSED)
    return None if stored is None else stored == len(book.finished())


def is_closing(book: Book) -> bool:
    """Whether all trials have ended, but something that is made of them may be missing."""
    return is_closed(book) is False and trials_ended(book)


def close(book: Book) -> None:
    """Store that everything is there. The last write of a session."""
    book.note(CLOSED, len(book.finished()))


def reopen(book: Book) -> None:
    """Store that the sweep goes on. The first write of a session."""
    if book.notes().get(CLOSED) != 0:
        book.note(CLOSED, 0)
