"""One run of the supervisor from the terminal's side: stores, launcher, records and display put together and taken down."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator import collector, files, launchers, text
from orchestrator.errors import INTERRUPTED, Interrupted, UserError
from orchestrator.files import CannotWrite
from orchestrator.search import combinations, completion, home, moved_folder, plan, steer
from orchestrator.search.book import Book
from orchestrator.search.completion import CLOSING
from orchestrator.search.new_sweep import create
from orchestrator.search.spec import Spec
from orchestrator.stores import artifact_locations, checkpoint_store, failures, patience
from orchestrator.stores.optuna_storage import UNWRITABLE, NameTaken, Storage, engine_of, unwritable
from orchestrator.supervisor import closing as closings
from orchestrator.supervisor import lease
from orchestrator.supervisor import machine as machines
from orchestrator.supervisor.closing import DELIVERY_SECONDS, ORDERLY, Closing
from orchestrator.supervisor.interrupts import InterruptWatcher
from orchestrator.supervisor.machine import Machine
from orchestrator.supervisor.status import SweepStatus
from orchestrator.supervisor.supervisor import Supervisor
from orchestrator.terminal import ending, tables
from orchestrator.terminal.progress import display
from orchestrator.tracking import connection, sweep_record


def parent_run() -> str:
    """The MLflow run that `mlflow run` made for what it starts; "" where it did not start us."""
    return os.environ.get(ending.PARENT_RUN, "")


def check(spec: Spec, book: Book | None, trials: int | None, storage: Storage, parent_run: str = "") -> dict[str, Any]:
    """What changes in the ``book`` of a planned sweep, if there is one, when it is driven; see ``drive``.

    ``trials`` is its total, where that is asked for. UserError where the sweep cannot be made or driven. Nothing is made here
    but a folder that ``--checkpoints`` names.
    """
    if book is None:
        files.check_folder(Path(spec.folder))
        if home.identity(Path(spec.folder)) and plan.settle(spec, storage) is None:
            raise UserError(
                f"{spec.folder} holds files of another sweep, which this storage does not know; move them away, or choose "
                "another --name"
            )
        variable = bool(os.environ.get("MLFLOW_TRACKING_URI", "").strip()) and not spec.options.get("tracking_uri")
        option = "MLFLOW_TRACKING_URI" if variable else "--tracking-uri"
        connection.check(spec.tracking_uri, option, Path(spec.study).stem, parent_run)
        if spec.checkpoints:  # last, for a file is written there
            checkpoint_store.check(spec.checkpoints)
        return {}
    book.claim()
    if driver := lease.present(book):
        raise lease.driven(book, driver)
    return {} if trials is None else steer.resumed(book, trials)


def make(spec: Spec, storage: Storage, parent_run: str = "") -> Book:
    """The book of a sweep that was checked."""
    files.writable(spec.folder)
    moved_folder.settle(home.home_of(spec), storage, spec.tracking_uri)
    connection.connect(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, parent_run)
    while True:
        try:
            return create(storage, spec)
        except KeyboardInterrupt:
            if plan.settle(spec, storage):
                raise Interrupted(ending.interrupted(spec)) from None
            raise
        except NameTaken:  # the same command, begun at the same time, was faster
            if book := plan.settle(spec, storage):
                return book


def drive(
    book: Book, machine: Machine, console: Console, parent_run: str = "", changes: Mapping[str, Any] | None = None
) -> int:
    """Run the sweep until it ends or is halted, and say so; returns the exit status.

    ``parent_run`` is the MLflow run that `mlflow run` made for it, if it did. ``changes`` are made in the sweep's spec when
    nothing can be refused any more: nobody else drives it, and its stores can be opened. Interrupted after a second Ctrl-C.
    """
    try:
        return _drive(book, machine, console, parent_run, changes or {})
    except KeyboardInterrupt:
        raise Interrupted(ending.interrupted(book.spec)) from None
    except home.Moved as error:
        raise UserError(str(error)) from None
    except CannotWrite as error:
        raise UserError(f"{error}; then go on with `{text.program()} resume {book.spec.name}`") from None
    except UNWRITABLE as error:
        raise UserError(f"{unwritable(error)}; then go on with `{text.program()} resume {book.spec.name}`") from None


def _drive(book: Book, machine: Machine, console: Console, parent_run: str, changes: Mapping[str, Any]) -> int:
    spec = book.spec
    book.claim()
    files.writable(spec.folder)
    collector.usually()
    with lease.acquire_lease(book) as driver, InterruptWatcher(bool(parent_run)).listening() as halt:
        if changes:
            connection.for_sweep(spec.model_copy(update=dict(changes)), parent_run)
            _follow(spec.tracking_uri, changes.get("tracking_uri", spec.tracking_uri))
            book.refresh()
            book.update(**changes)
            spec = book.spec
        home.mark(spec)
        with home.staying(spec, book.address), patience.waiting(engine_of(book.optuna_study), halt, console.print):
            return _play(book, machine, console, parent_run, driver, halt)


def _play(
    book: Book, machine: Machine, console: Console, parent_run: str, driver: lease.Lease, halt: InterruptWatcher
) -> int:
    """Run or close the sweep, and say what came of it; returns the exit status."""
    spec = book.spec
    if not completion.trials_ended(book):
        reason, closing = _run(book, machine, console, parent_run, driver, halt)
    elif _complete(book):
        trials = text.counted(book.total())
        console.print(f"sweep {spec.name} is complete: it has all of its {trials}; --trials sets a higher total")
        ending.best(book, console)
        return 0
    else:
        console.print(f"{spec.name}: all trials have ended, and what is made of them is completed now …")
        driver.tell(CLOSING, {})
        with _told_to_resume(spec):
            store = connection.for_sweep(spec, parent_run)
            reason, closing = "", closings.complete(book, store, parent_run)
    if closing.verdict:
        console.print(tables.verdict(closing.verdict))
    ending.best(book, console, closing.champion)
    ending.remarks(closing, console)
    if reason:
        again = tables.bold(ending.typed(spec, "resume", spec.name))
        console.print(f"ended early: {reason}. Go on with: ", again, highlight=False, soft_wrap=True)
    if reason in ORDERLY:
        return 0 if book.best() else 1
    return INTERRUPTED if halt.reason else 1


def _run(
    book: Book, machine: Machine, console: Console, parent_run: str, driver: lease.Lease, halt: InterruptWatcher
) -> tuple[str, Closing]:
    """Run trials until the sweep ends, then close it. Returns why it ended, see Supervisor.drive, and what was made of it."""
    spec = book.spec
    machines.check_memory(machine, book.trials())
    # First of all: what it imports, it imports while we go on.
    launcher = launchers.load(machine.launcher)(machine.resources, spec.study_source, **machine.settings)
    with contextlib.ExitStack() as unless_begun:
        unless_begun.callback(launcher.close)
        with _told_to_resume(spec):
            store = connection.for_sweep(spec, parent_run)
            completion.reopen(book)
            outbox = sweep_record.begin(book, store, parent_run)
        unless_begun.pop_all()
    courier = closings.serve(book, store)  # what an earlier supervisor could not deliver as well
    closing = Closing(book, store, courier)
    supervisor = Supervisor(book, launcher, courier, outbox, machine.limits)
    console.print(
        tables.bold(f"{spec.name}:"),
        f"{spec.question}\n{text.counted(book.total())} on {spec.data}, "
        f"{text.counted(launcher.resources.slots, 'worker')}, {text.counted(launcher.resources.threads, 'thread')} each, "
        f"{', '.join(sorted(set(launcher.resources.devices)))}",
        highlight=False,
    )
    for note in combinations.notes(spec, book.study):
        console.print(f"note: {note}", highlight=False, soft_wrap=True)

    def show(status: SweepStatus) -> None:
        with halt.printing():
            screen.show(status)
        running = status.running
        places = [trial.place for trial in running.values() if trial.place]
        driver.tell(status.state, {number: trial.progress() for number, trial in running.items()}, places)

    wait = 0.0
    try:
        with display(console) as screen:
            reason = supervisor.drive(machine.timeout, halt, show)
        if reason in ORDERLY:
            driver.tell(CLOSING, {})
            reason = "" if completion.trials_ended(book) else reason
        # The last trials too: only then are the runs known that pages link to.
        arrived = courier.drain(DELIVERY_SECONDS)
        if book.finished() and reason in ORDERLY:
            kept = "writing the verdict" if spec.comparison else "keeping the champion"
            console.print(f"drawing figures and {kept} …")
        closing.record(outbox, reason)
        wait = DELIVERY_SECONDS if arrived else 0.0
    except BaseException as error:
        closing.give_up(outbox, error)
        raise
    finally:
        launcher.close()
        closing.deliver(wait)
    if closing.delivered and reason in ORDERLY:
        closing.publish()
    return reason, closing


@contextlib.contextmanager
def _told_to_resume(spec: Spec) -> Iterator[None]:
    """Say a failure of the tracker with the way to go on: the sweep is there by now, and has lost nothing."""
    try:
        yield
    except Exception as error:
        of_tracker = isinstance(error, UserError) or type(error).__module__.partition(".")[0] == "mlflow"
        if not of_tracker:
            raise
        sentence = failures.failure(spec.tracking_uri, "--tracking-uri", error)
        raise UserError(f"{sentence}; then go on with `{text.program()} resume {spec.name}`") from None


def _complete(book: Book) -> bool:
    """Whether nothing is left to be done for a sweep whose trials have ended.

    An earlier version did not store that: there a run that is closed counts, and one that is out of reach or gone.
    """
    closed = completion.is_closed(book)
    if closed is not None:
        return closed
    spec = book.spec
    try:
        store = connection.find_reader(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, spec.run)
        status, outcome = sweep_record.status(book, store) if store else ("", "")
    except connection.unreachable():
        return True
    return not status or status in sweep_record.ENDED and outcome != "running"


def sync(book: Book, console: Console) -> int:
    """Deliver what the sweep's outboxes still hold, and close it if its trials have ended.

    Returns the exit status: 1 where the tracker still refuses something, or the sweep could not be closed.
    """
    with lease.acquire_lease(book):
        home.mark(book.spec)
        store = connection.for_sweep(book.spec)
        closing = Closing(book, store, closings.serve(book, store))
        waiting = closing.courier.pending()
        closing.deliver(DELIVERY_SECONDS)
        if not closing.delivered:
            raise UserError(
                f"{book.spec.tracking_uri} is out of reach ({closing.courier.trouble}); what waits is kept, try again later"
            )
        console.print(f"{waiting / 1000:.1f} kB delivered to {book.spec.tracking_uri}" if waiting else "nothing waits")
        if taken := closings.deliver_refused(book, store):
            console.print(f"of what was refused, {taken} {'entry is' if taken == 1 else 'entries are'} there now")
        if completion.is_closing(book):
            closing = closings.complete(book, store)
        elif book.finished() and not book.trials_running() and not completion.is_closed(book):
            closing.publish()
        if closing.verdict:
            console.print(tables.verdict(closing.verdict))
        closing.refused = closings.refused(book)
        ending.remarks(closing, console)
    return 1 if closing.refused or closing.trouble or not closing.delivered else 0


def _follow(before: str, after: str) -> None:
    """Have MLflow's file know where its artifacts are, if both were moved from one address to another."""
    try:
        artifact_locations.follow(before, after)
    except sqlite3.Error as error:
        raise failures.failure(after, "--tracking-uri", error) from None
