"""One run of the supervisor from the terminal's side: stores, launcher, records and display put together and taken down."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator import collector, files, launchers, text
from orchestrator.delivery.courier import Courier
from orchestrator.delivery.delivery import deliver_now
from orchestrator.delivery.outbox import Outbox, Status
from orchestrator.errors import UserError
from orchestrator.files import CannotWrite
from orchestrator.layout import OUTBOX, PARENT_RUN
from orchestrator.search import steer
from orchestrator.search.book import Book, create
from orchestrator.search.spec import Spec
from orchestrator.stores import sqlite, urls
from orchestrator.stores.optuna_storage import UNWRITABLE, Storage, unwritable
from orchestrator.supervisor import lease
from orchestrator.supervisor.interrupts import InterruptWatcher
from orchestrator.supervisor.machine import Machine
from orchestrator.supervisor.status import SweepStatus
from orchestrator.supervisor.steering import STOPPED
from orchestrator.supervisor.supervisor import Supervisor
from orchestrator.terminal import tables
from orchestrator.terminal.progress import display
from orchestrator.tracking import comparison_runs, connection, descriptions, publish, saved_view

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

INTERRUPTED = 130  # the shell's exit status for Ctrl-C
ORDERLY = ("", "timeout", STOPPED)  # endings that somebody wanted
DELIVERY_SECONDS = 10.0  # how long a tracker that is out of reach is waited for at the end


def parent_run() -> str:
    """The MLflow run that `mlflow run` made for what it starts; "" where it did not start us."""
    return os.environ.get("MLFLOW_RUN_ID", "")


def book_of(spec: Spec, book: Book | None, trials: int | None, storage: Storage, parent_run: str = "") -> Book:
    """The ``book`` of a planned sweep, made where there is none, with ``trials`` as its total where that is asked for."""
    files.writable(spec.folder)
    if book is None:
        connection.connect(
            spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, parent_run
        )  # refused before the sweep exists
        return create(storage, spec)
    return book if trials is None else steer.resumed(storage, spec.name, trials)


def drive(book: Book, machine: Machine, console: Console, parent_run: str = "") -> int:
    """Run the sweep until it ends or is halted, and say so; returns the exit status.

    ``parent_run`` is the MLflow run that `mlflow run` made for it, if it did.
    """
    try:
        return _drive(book, machine, console, parent_run)
    except CannotWrite as error:
        raise UserError(f"{error}; make room there, then go on") from None
    except UNWRITABLE as error:
        raise UserError(f"{unwritable(error)}; go on when it can") from None


def _drive(book: Book, machine: Machine, console: Console, parent_run: str) -> int:
    spec = book.spec
    book.claim()
    files.writable(spec.folder)
    collector.usually()
    with lease.acquire_lease(book) as driver, InterruptWatcher(bool(parent_run)).listening() as halt:
        if len(book.finished()) >= book.total() and not book.trials_running():
            console.print(
                f"sweep {spec.name} has all of its {text.counted(book.total())}; --trials sets a higher total"
            )
            _ending(book, console)
            return 0
        # First of all: what it imports, it imports while we go on.
        launcher = launchers.load(machine.launcher)(machine.resources, spec.study)
        store = connection.for_sweep(spec, parent_run)
        outbox = _record(book, store, parent_run)
        courier = Courier(store)
        _serve(courier, spec.folder)  # what an earlier supervisor could not deliver as well
        supervisor = Supervisor(book, launcher, courier, outbox, machine.limits)
        console.print(
            f"[bold]{spec.name}[/]: {spec.question}\n{text.counted(book.total())} on {spec.data}, "
            f"{text.counted(launcher.resources.slots, 'worker')}, {text.counted(launcher.resources.threads, 'thread')} each, "
            f"{', '.join(sorted(set(launcher.resources.devices)))}",
            highlight=False,
        )

        def show(status: SweepStatus) -> None:
            screen.show(status)
            driver.tell(status.state, {number: trial.progress() for number, trial in status.running.items()})

        wait = 0.0
        pictures: list[str] = []
        try:
            with display(console) as screen:
                reason = supervisor.drive(machine.timeout, halt, show)
            # The last trials too: only then are the runs known that pages link to.
            arrived = courier.drain(DELIVERY_SECONDS)
            if book.finished() and reason in ORDERLY:
                console.print("drawing figures and keeping the champion …")
                pictures = publish.finish(book, outbox)
            status: Status = "FINISHED" if reason in ("", "timeout") else "KILLED"
            _close(book, outbox, courier, status, reason, pictures)
            wait = DELIVERY_SECONDS if arrived else 0.0
        except BaseException as error:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            _close(book, outbox, courier, status, "failed", pictures)
            raise
        finally:
            launcher.close()
            delivered = courier.drain(wait)
            courier.close()
        champion = _publish(book, store, console) if delivered and reason in ORDERLY else ""
        _ending(book, console, champion)
        _undelivered(book, courier, console, delivered)
        if reason:
            again = f"Go on with:  [bold]{text.program()} resume {spec.name}[/]"
            console.print(f"ended early: {reason}. {again}", highlight=False, soft_wrap=True)
        if reason in ORDERLY:
            return 0 if book.best() else 1
        return INTERRUPTED if halt.reason else 1


def sync(book: Book, console: Console) -> int:
    """Deliver what the sweep's outboxes still hold; returns the exit status."""
    with lease.acquire_lease(book):
        store = connection.for_sweep(book.spec)
        courier = Courier(store)
        _serve(courier, book.spec.folder)
        waiting = courier.pending()
        delivered = courier.drain(DELIVERY_SECONDS)
        courier.close()
        if not delivered:
            raise UserError(
                f"{book.spec.tracking_uri} is out of reach ({courier.trouble}); what waits is kept, try again later"
            )
        console.print(f"{waiting / 1000:.1f} kB delivered to {book.spec.tracking_uri}" if waiting else "nothing waits")
        if book.finished() and not book.trials_running():
            _publish(book, store, console)
        _undelivered(book, courier, console, True)
    return 0


def _serve(courier: Courier, folder: str) -> None:
    """All outboxes of a sweep that hold something."""
    for outbox in {path.parent for path in Path(folder).glob(f"**/{OUTBOX}/*.jsonl")} | {Path(folder, OUTBOX)}:
        courier.serve(outbox.parent)


def _record(book: Book, store: "MlflowStore", parent_run: str) -> Outbox:
    """The sweep's own record: the run that it has, the one that `mlflow run` made for it, or a new one."""
    spec, folder = book.spec, Path(book.spec.folder)
    tags = publish.tags(spec)
    if spec.run and parent_run and parent_run != spec.run:
        other = Outbox(folder / PARENT_RUN)  # the courier delivers it
        other.select(parent_run)
        other.note(f"Went on with the sweep `{spec.name}`, whose own run is `{spec.run}`.")
        other.end(None, tags)
    outbox = Outbox(folder)
    outbox.begin(
        spec.id, spec.name, publish.params(spec), {**tags, "outcome": "running"}, run=spec.run or parent_run or None
    )
    outbox.content("config.json", publish.settings(spec))
    outbox.note(descriptions.sweep(book, "Running."))
    run = deliver_now(folder, store, spec.tracking_uri)  # now, for trials are recorded below it
    book.update(run=run)
    store.follow(run)
    store.keep_view(spec.name, saved_view.text(book))
    comparison_runs.begin(book, store)
    return outbox


def _close(
    book: Book, outbox: Outbox, courier: Courier, status: Status, reason: str, pictures: Collection[str]
) -> None:
    """Close the records of the sweep and of its arms, unless the disk is what ended it."""
    try:
        outbox.note(descriptions.sweep(book, f"Ended early: {reason}." if reason else "", pictures))
        outbox.end(status, {"outcome": reason or "complete"})
        for folder in comparison_runs.end(book, status, reason or "complete"):
            courier.serve(folder)
    except CannotWrite:
        pass


def _publish(book: Book, store: "MlflowStore", console: Console) -> str:
    """What is made of records that have arrived: a comparison's verdict, or the address of a search's champion."""
    publish.mark(book, store)
    if book.spec.comparison is None:
        try:
            return publish.champion(book, store)
        except Exception as error:  # a network may fail to be exported in as many ways as there are networks
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            console.print(
                f"the best network could not be registered as a model ({reason}); its weights are kept in {book.spec.folder}",
                highlight=False,
                soft_wrap=True,
            )
            return ""
    if book.finished():
        console.print(tables.verdict(comparison_runs.report(book, store)))
    return ""


def _undelivered(book: Book, courier: Courier, console: Console, delivered: bool) -> None:
    if not delivered:
        console.print(
            f"{courier.pending() / 1000:.1f} kB could not be delivered to {book.spec.tracking_uri} ({courier.trouble}). "
            f"They are kept; deliver them later:  [bold]{text.program()} sync {book.spec.name}[/]",
            highlight=False,
            soft_wrap=True,
        )
    for reason, count in courier.refused.items():
        console.print(f"{count} entries were refused by the tracker: {reason}", highlight=False, soft_wrap=True)


def _ending(book: Book, console: Console, champion: str = "") -> None:
    if book.best():
        console.print("\nbest trials")
        console.print(tables.trials(book, only=5))
    elif book.finished():
        console.print(f"no trial was completed; `{text.program()} show {book.spec.name}` tells how each ended")
    if champion:
        console.print(f"\nchampion   mlflow.pytorch.load_model('{champion}')", highlight=False)
    console.print(f"all trials {text.program()} show {book.spec.name}", highlight=False)
    console.print(f"pictures   {_pictures(book.spec.tracking_uri)}", highlight=False, soft_wrap=True)


def _pictures(uri: str) -> str:
    """Where MLflow's pages of a store are."""
    if uri.startswith(("http:", "https:")):
        return uri
    if uri == sqlite.absolute(urls.TRACKING):
        return f"{text.program()} ui   (or: mlflow ui)"
    return f"{text.program()} ui --tracking-uri {uri}"
