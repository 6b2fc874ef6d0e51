"""A sweep as any terminal can follow it, from what is kept with the sweep."""

import time

from rich.console import Console
from rich.live import Live

from orchestrator.search import book as books
from orchestrator.search.book import Book
from orchestrator.stores.optuna_storage import Storage
from orchestrator.supervisor import lease
from orchestrator.terminal import tables

LOOK_SECONDS = 1.0


def follow(storage: Storage, name: str, best: int | None, console: Console) -> None:
    """Show the sweep until nobody drives it any more, or until Ctrl-C. Where there is no terminal, a line a change."""
    book = books.load(storage, name)  # once: thousands of trials take seconds to read, and later only new ones are
    try:
        if console.is_terminal:
            with Live(console=console, auto_refresh=False, screen=False) as live:
                while True:
                    book.refresh()
                    live.update(tables.sweep(book, best), refresh=True)
                    if lease.present(book) is None:
                        return
                    time.sleep(LOOK_SECONDS)
        _lines(book, console)
        console.print(tables.sweep(book, best))
    except KeyboardInterrupt:
        return


def _lines(book: Book, console: Console) -> None:
    before = ""
    while True:
        book.refresh()
        driver = lease.present(book)
        best_trials = book.best()
        best = f" · best {book.spec.objectives[0][0]} {best_trials[0].values[0]:.4g}" if best_trials else ""
        state = driver.state if driver else "nobody drives it"
        line = f"{book.spec.name}: {state} · {len(book.finished())}/{book.total()} finished{best}"
        if line != before:
            console.print(line, highlight=False, soft_wrap=True)
        before = line
        if driver is None:
            return
        time.sleep(LOOK_SECONDS)
