"""One run of the supervisor from the terminal's side: stores, launcher, records and display put together and taken down."""

import gc
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from orchestrator import plan, publish, tables, tracker
from orchestrator.book import Book
from orchestrator.devices import Room
from orchestrator.errors import UserError
from orchestrator.halt import Halt
from orchestrator.launchers._protocol import Launcher
from orchestrator.launchers.inline import InlineLauncher
from orchestrator.launchers.local import LocalLauncher
from orchestrator.progress import display
from orchestrator.sweep import Supervisor
from orchestrator.tracking import Run

INTERRUPTED = 130  # the shell's exit status for Ctrl-C


@contextmanager
def driving(folder: str, name: str) -> Iterator[None]:
    """Be the only supervisor of a sweep inside the block; UserError where another one is."""
    lock, holder = FileLock(Path(folder, "driver.lock")), Path(folder, "driver.json")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = json.loads(holder.read_text()) if holder.exists() else {}
        raise UserError(
            f"sweep '{name}' is being driven by process {who.get('process', '?')} on {who.get('host', '?')} since "
            f"{who.get('since', '?')}; wait for it or interrupt it first"
        ) from None
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    holder.write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid(), "since": since}))
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def drive(book: Book, room: Room, inline: bool, timeout: float | None, console: Console) -> int:
    """Run the sweep until it ends or is halted, and say so; returns the exit status."""
    spec = book.spec
    plan.writable(spec.folder)
    gc.freeze()  # what is imported stays: looking through it takes the collector over a second on leaving
    with driving(spec.folder, spec.name), Halt().listening() as halt:
        mlflow = tracker.connect(spec.tracking_uri, "--tracking-uri", experiment=Path(spec.study).stem)
        if len(book.finished()) >= book.total() and not book.trials_running():
            console.print(f"sweep {spec.name} has all of its {book.total()} trials; --trials sets a higher total")
            _ending(book, console)
            return 0
        run = _record(book, mlflow)
        threads = 1 if spec.deterministic else room.threads  # sums depend on how they are divided
        launcher: Launcher
        if inline:
            launcher = InlineLauncher(mlflow, room.devices[0])
        else:
            launcher = LocalLauncher(room.devices, threads, spec.study, spec.tracking_uri)
        supervisor = Supervisor(book, launcher, mlflow, run, threads)
        console.print(
            f"[bold]{spec.name}[/]: {spec.question}\n{book.total()} trials on {spec.data}, {launcher.slots} at a time, "
            f"{threads} thread{'s' if threads > 1 else ''} each, {', '.join(sorted(set(room.devices)))}",
            highlight=False,
        )
        try:
            with display(console) as screen:
                reason = supervisor.drive(timeout, halt, screen.show)
        except BaseException as error:
            run.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", {"outcome": "failed"})
            raise
        finally:
            launcher.close()
        champion = None
        if book.finished() and not reason:
            console.print("drawing figures and keeping the champion …")
        if book.finished() and reason in ("", "timeout"):
            champion = publish.finish(book, run, mlflow)
        run.describe(publish.description(book, f"Ended early: {reason}." if reason else ""))
        run.end("FINISHED" if reason in ("", "timeout") else "KILLED", {"outcome": reason or "complete"})
        _ending(book, console, champion)
        if reason:
            console.print(
                f"ended early: {reason}. Go on with:  [bold]{plan.program()} resume {spec.name}[/]", highlight=False
            )
        if reason not in ("", "timeout"):
            return INTERRUPTED
        return 0 if book.best() else 1


def _record(book: Book, mlflow: tracker.MlflowTracker) -> Run:
    """The sweep's own run: the one that it has, the one that `mlflow run` made for it, or a new one."""
    made = os.environ.get("MLFLOW_RUN_ID", "")
    if book.spec.run:
        if made and made != book.spec.run:
            other = mlflow.resume(made)
            other.describe(f"Went on with the sweep `{book.spec.name}`, whose own run is `{book.spec.run}`.")
            other.tags({"sweep": book.spec.name, "study": book.spec.study})
        run: Run = mlflow.reopen(book.spec.run)
    else:
        tags = {"sweep": book.spec.name, "study": book.spec.study}
        if made:
            run = mlflow.adopt(made, book.spec.name, publish.params(book), tags)
        else:
            run = mlflow.start(book.spec.name, publish.params(book), tags, None)
        book.update(run=run.id)
    run.tags({"outcome": "running"})
    run.describe(publish.description(book, "Running."))
    return run


def _ending(book: Book, console: Console, champion: str | None = None) -> None:
    if book.best():
        console.print("\nbest trials")
        console.print(tables.trials(book, only=5))
    elif book.finished():
        console.print(f"no trial was completed; `{plan.program()} show {book.spec.name}` tells how each ended")
    if champion:
        console.print(f"\nchampion   mlflow.pytorch.load_model('{champion}')", highlight=False)
    console.print(f"all trials {plan.program()} show {book.spec.name}", highlight=False)
    console.print(f"pictures   {plan.program()} ui   (or: mlflow ui{_store(book)})", highlight=False, soft_wrap=True)


def _store(book: Book) -> str:
    here = tracker.absolute(tracker.DEFAULT_URI)
    return "" if book.spec.tracking_uri == here else f" --backend-store-uri {book.spec.tracking_uri}"
