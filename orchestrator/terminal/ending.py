"""The last words of a session: the best trials, where to look at them, what is left to be done, and by which command."""

import os
import shlex

from rich.console import Console

from orchestrator import text
from orchestrator.search import home
from orchestrator.search.book import Book
from orchestrator.search.spec import Spec
from orchestrator.stores import sqlite, urls
from orchestrator.supervisor.closing import Closing
from orchestrator.terminal import tables

PARENT_RUN = "MLFLOW_RUN_ID"  # the variable that holds the run that `mlflow run` made for what it starts


def remarks(closing: Closing, console: Console) -> None:
    """What could not be made or delivered, or was refused."""
    name, uri = closing.book.spec.name, closing.book.spec.tracking_uri
    for remark in closing.remarks:
        console.print(remark, highlight=False, soft_wrap=True)
    if pairs := ", ".join(f"{key!r} as {value}" for key, value in sorted(closing.store.renamed.items())):
        console.print(f"MLflow keeps {pairs}", highlight=False, soft_wrap=True)
    if not closing.delivered:
        console.print(
            f"{closing.courier.pending() / 1000:.1f} kB could not be delivered to {uri} ({closing.courier.trouble}). "
            f"They are kept; deliver them later: ",
            tables.bold(typed(closing.book.spec, "sync", name)),
            highlight=False,
            soft_wrap=True,
        )
    if closing.trouble:
        console.print(
            f"{name} is not complete yet, for {uri} is out of reach ({closing.trouble}). Complete it later: ",
            tables.bold(typed(closing.book.spec, "resume", name)),
            highlight=False,
            soft_wrap=True,
        )
    for reason, count in closing.refused.items():
        console.print(
            f"{'1 entry was' if count == 1 else f'{count} entries were'} refused by the tracker: {reason}. "
            "What was refused is kept; deliver it once more: ",
            tables.bold(typed(closing.book.spec, "sync", name)),
            highlight=False,
            soft_wrap=True,
        )


def best(book: Book, console: Console, champion: str = "") -> None:
    """The best trials, the address of the ``champion``, and where all of them are shown."""
    if book.best():
        console.print("\nbest trials")
        console.print(tables.trials(book, only=5))
        if book.spec.caution:
            console.print(book.spec.caution, style="yellow", highlight=False, soft_wrap=True)
    elif book.finished():
        console.print(f"no trial was completed; `{typed(book.spec, 'show', book.spec.name)}` tells how each ended")
    if champion:
        console.print(f"\nchampion   mlflow.pytorch.load_model('{champion}')", highlight=False)
    console.print(f"all trials {typed(book.spec, 'show', book.spec.name)}", highlight=False, soft_wrap=True)
    console.print(f"pictures   {_pictures(book.spec)}", highlight=False, soft_wrap=True)


def interrupted(spec: Spec) -> str:
    """What is said where Ctrl-C left no time for more: nothing is lost."""
    return f"ended early: interrupted. Go on with:  {typed(spec, 'resume', spec.name)}"


def typed(spec: Spec, *words: str) -> str:
    """A command of ours as its user types it. `mlflow run` may have been typed elsewhere than where the sweep is."""
    line = f"{text.program()} {shlex.join(words)}"
    elsewhere = os.environ.get(PARENT_RUN) and spec.tracking_uri != sqlite.absolute(urls.TRACKING)
    return f"cd {shlex.quote(str(home.home_of(spec)))} && {line}" if elsewhere else line


def _pictures(spec: Spec) -> str:
    """Where MLflow's pages of a sweep are."""
    uri = spec.tracking_uri
    if urls.is_http(uri):
        return uri
    if uri == sqlite.absolute(urls.TRACKING):
        return f"{text.program()} ui   (or: mlflow ui)"
    return typed(spec, "ui", "--tracking-uri", uri)
