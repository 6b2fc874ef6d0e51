"""What commands about a sweep share: its name, which Tab completes, its storage, and where they print."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import storage_option

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.search.book import Book
    from orchestrator.stores.optuna_storage import Storage

# What `sweep --help` has room for, where a command's own first sentence is longer.
SHORT = {
    "show": "Show the trials of the sweep NAME, or one TRIAL whole.",
    "stop": "End the sweep NAME when its running trials have ended.",
    "sync": "Deliver to MLflow what did not arrive while NAME ran.",
    "pause": "Free the machine for a while; `sweep resume` goes on.",
    "enqueue": "Try a configuration next in the sweep NAME.",
    "rm": "Remove the sweep NAME: its trials, files and MLflow runs.",
    "pack": "Write the sweep NAME to one file, to carry it elsewhere.",
    "report": "Write one HTML file about the sweep NAME, or two side by side.",
    "sample": "Draw new images by the best trial of the sweep NAME, or by TRIAL.",
}


def complete_sweep(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Sweeps here that begin with what was typed."""
    from orchestrator.search import book

    return [name for name in book.names(open_books(ctx.params.get("storage"))) if name.startswith(incomplete)]


def sweep_command(function: Callable[..., Any]) -> click.Command:
    """A command on one sweep, with --storage."""
    function = click.argument("name", shell_complete=complete_sweep)(storage_option(function))
    return click.command(function.__name__, short_help=SHORT.get(function.__name__))(function)


def complete_trial(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Trials of the sweep that was named."""
    from orchestrator.search import book

    name = ctx.params.get("name")
    books = open_books(ctx.params.get("storage"))
    numbers = [str(trial.number) for trial in load_book(books, name).trials()] if name in book.names(books) else []
    return [number for number in numbers if number.startswith(incomplete)]


def complete_study(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Studies that begin with what was typed."""
    import studies

    return [name for name in studies.names() if name.startswith(incomplete)]


def print_json(value: Any) -> None:
    """For scripts: nothing but the value."""
    import json

    click.echo(json.dumps(value, indent=2, default=str))


def make_console() -> "Console":
    """Standard output."""
    from orchestrator.terminal import tables

    return tables.console()


def open_books(storage: str | None, create: bool = False) -> Any:
    """The Optuna storage that is meant."""
    from orchestrator.stores import optuna_storage

    return optuna_storage.meant(storage, create)


def load_book(books: "Storage", name: str, moved_here: bool = False) -> "Book":
    """The sweep that is meant; see orchestrator.search.book.load."""
    from orchestrator.search import book

    return book.load(books, name, moved_here)
