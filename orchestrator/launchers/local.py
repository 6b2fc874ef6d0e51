"""Trials in processes of this machine: each forked, in milliseconds, from a server that has imported torch but never run it.

A process that has run torch must never be forked (the child's first backward pass hangs), and importing anew costs two
seconds a trial.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path

from orchestrator.launchers._protocol import Died, Job
from orchestrator.messages import Ended, Message, Reply, Report, Task

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PRELOAD = "orchestrator.launchers._preload"
LOG = "log.txt"


def _work(task: Task, pipe: Connection) -> None:
    """The worker: plays one trial and leaves."""
    os.setsid()  # a group of its own: Ctrl-C is the supervisor's to hear, and the whole group can be ended at once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = os.open(Path(task.folder) / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)

    import torch

    from orchestrator.tracker import MlflowTracker
    from orchestrator.trial import play

    torch.set_num_threads(task.threads)
    trial = play(task, MlflowTracker(task.tracking_uri))
    reply: Reply | None = None
    while True:
        message = trial.send(reply)
        reply = _converse(pipe, message)
        if isinstance(message, Ended):
            return


def _converse(pipe: Connection, message: Message | None) -> Reply | None:
    """Send a message and take what has come; a supervisor that is gone means "stop"."""
    try:
        if message is not None:
            pipe.send(message)
        reply: Reply | None = None
        # A report is answered by exactly one go, prune or stop; a stop may also come unasked.
        while isinstance(message, Report) and reply is None or pipe.poll():
            reply = pipe.recv()
            if reply == "stop":
                return reply
        return reply
    except (EOFError, OSError):
        return "stop"


class LocalJob:
    """A worker process and the pipe to it."""

    def __init__(self, process: multiprocessing.process.BaseProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.ended = False

    def hear(self) -> list[Message]:
        """Everything that has come. See Job."""
        heard: list[Message] = []
        try:
            while not self.ended and self.pipe.poll():
                message = self.pipe.recv()
                self.ended = isinstance(message, Ended)
                heard.append(message)
        except (EOFError, OSError):
            if not heard:
                self.process.join(5)
                code = self.process.exitcode
                how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit status {code}"
                raise Died(f"the worker process {self.process.pid} ended by {how}") from None
        if self.ended:
            self.process.join()  # its last message is sent: it is leaving
            self.pipe.close()
        return heard

    def reply(self, reply: Reply) -> None:
        """Answer its last Report; a worker that has just died will be noticed when it is listened to."""
        try:
            self.pipe.send(reply)
        except OSError:
            pass

    def stop(self) -> None:
        """Ask it to leave at its next checkpoint."""
        self.reply("stop")

    def kill(self) -> None:
        """End its whole process group."""
        if self.process.pid is not None and self.process.is_alive():
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                self.process.kill()  # it has not made its group yet
        self.process.join()


class LocalLauncher:
    """As many workers at once as there are slots, with the processor's threads divided among them."""

    def __init__(self, devices: Sequence[str], threads: int, study: str, tracking_uri: str) -> None:
        """One slot for each of ``devices`` (a device may occur more than once), ``threads`` for each worker.

        ``study`` is what will be played and ``tracking_uri`` where to: the server imports the one and opens the other,
        once for all workers.
        """
        self.slots = len(devices)
        self.devices = tuple(devices)
        self.context = multiprocessing.get_context("forkserver")
        # The command is every worker's main module; what is not a module of ours cannot be imported by name.
        modules = [PRELOAD, "orchestrator.cli", *([] if study.endswith(".py") else [f"studies.{study}"])]
        self.context.set_forkserver_preload(modules)
        with _environment(threads, tracking_uri):
            from multiprocessing import forkserver

            forkserver.ensure_running()

    def device(self, slot: int) -> str:
        """The device of a slot."""
        return self.devices[slot]

    def launch(self, task: Task) -> LocalJob:
        """Fork a worker for the task."""
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_work, args=(task, theirs), name=f"{task.sweep}-{task.trial}")
        process.start()
        theirs.close()
        return LocalJob(process, ours)

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """See Launcher."""
        wait([job.pipe for job in jobs if isinstance(job, LocalJob)], seconds)

    def close(self) -> None:
        """The server leaves with this process."""


@contextmanager
def _environment(threads: int, tracking_uri: str) -> Iterator[None]:
    """What the server, and so every worker, is to find in its environment.

    MLFLOW_RUN_ID names the sweep's own run: a worker that found it would write there.
    """
    before = dict(os.environ)
    os.environ.update({name: str(threads) for name in THREAD_VARIABLES})
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    os.environ.pop("MLFLOW_RUN_ID", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
