"""Trials in processes of this machine: each forked, in milliseconds, from a server that has imported torch but never run it.

A process that has run torch must never be forked (the child's first backward pass hangs), and importing anew costs two
seconds a trial.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from orchestrator.devices import Resources
from orchestrator.launchers import memory, server_start
from orchestrator.launchers.protocol import Died, Job, Launcher
from orchestrator.messages import Ended, Message, Reply, Report, Task
from orchestrator.worker import lock, log

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Threads that wait for one another sleep instead of computing nothing. Where others want the cores too, threads that spin are
# several times slower than one.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
PRELOAD = ["orchestrator.launchers.server_signals", "orchestrator.launchers.preload"]
FORK_SECONDS = 30.0  # how long a server that dies is started anew
ORPHAN_SECONDS = 8.0  # how long a worker may take to leave once its supervisor is gone


def _work(task: Task, pipe: Connection, leaves: bool) -> None:
    """The worker: plays one trial and leaves. ``leaves``: with a checkpoint as well where it hears SIGTERM."""
    os.setsid()  # a group of its own: Ctrl-C is the supervisor's to hear, and the whole group can be ended at once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals = _leave_signals_to_the_supervisor()
    os.environ.pop("MLFLOW_RUN_ID", None)  # names the sweep's own run: a trainer that logs by itself would write there
    threading.Thread(target=_leave_with_the_supervisor, daemon=True).start()
    log.redirect(Path(task.folder))

    import torch

    from orchestrator.worker.trial import run_trial

    torch.set_num_threads(task.threads)
    with lock.hold_worker_lock(Path(task.folder)):
        supervisor = multiprocessing.parent_process()
        if supervisor is None or not supervisor.is_alive():
            # It died while we started, and another one may have had the trial played to its end meanwhile.
            lock.remove(Path(task.folder))
            return
        trial = run_trial(task)
        reply: Reply | None = None
        while True:
            message = trial.send(reply)
            reply = _converse(pipe, message)
            if leaves and signals and reply != "prune":
                reply = "stop"
            if isinstance(message, Ended):
                break
    lock.end_descendants(os.getpid())  # those in a session of their own are known to this process alone
    if not supervisor.is_alive():
        lock.end_family(os.getpid())  # nobody else ends what is left of its group


def _leave_signals_to_the_supervisor() -> list[int]:
    """Batch systems end all processes of a job: the supervisor hears it too, and has the trial leave with a checkpoint.

    Returns a list of those that have come. What this worker starts is ended by such a signal, as anywhere else.
    """
    worker, signals = os.getpid(), list[int]()

    def heard(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        if os.getpid() != worker:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, heard)
    return signals


def _leave_with_the_supervisor() -> None:
    """End this whole group when the supervisor is gone and the trial, which will notice, does not leave by itself."""
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    supervisor.join()
    time.sleep(ORPHAN_SECONDS)
    lock.end_family(os.getpid())


def _converse(pipe: Connection, message: Message | None) -> Reply | None:
    """Send a message and take what has come; a supervisor that is gone means "stop"."""
    try:
        if message is not None:
            pipe.send(message)
        reply: Reply | None = None
        # A report is answered by exactly one go, prune or stop; the latter two may also come unasked, and stand.
        while isinstance(message, Report) and reply is None or pipe.poll():
            reply = pipe.recv()
            if reply in ("stop", "prune"):
                return reply
        return reply
    except (EOFError, OSError):
        return "stop"


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid is not None else None
    except psutil.Error:  # it has left already
        return None


def _runs(process: psutil.Process | None) -> bool:
    try:
        return process is not None and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class LocalJob:
    """A worker process and the pipe to it."""

    def __init__(self, process: multiprocessing.process.BaseProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.worker = _process(process.pid)
        self.ended = False
        self.kills = _memory_kills()

    def hear(self) -> list[Message]:
        """Everything that has come. See Job."""
        heard: list[Message] = []
        gone = self.is_gone()  # asked first: what it said before is in the pipe
        try:
            while not self.ended and self.pipe.poll():
                message = self.pipe.recv()
                self.ended = isinstance(message, Ended)
                heard.append(message)
        except (EOFError, OSError):
            gone = True
        if self.ended:
            self._leave()
        elif gone and not heard:
            raise self._died()
        return heard

    def is_gone(self) -> bool:
        """Whether the worker runs no more. A server that has died says so of all its workers, which live on without it."""
        return self.process.exitcode is not None and not _runs(self.worker)

    def reply(self, reply: Reply) -> None:
        """See Job; a worker that has just died will be noticed when it is listened to."""
        with suppress(OSError):
            self.pipe.send(reply)

    def processor_seconds(self) -> float | None:
        """See Job."""
        try:
            worker = psutil.Process(self.process.pid)
            family = [worker, *worker.children(recursive=True)]
            return float(sum(sum(process.cpu_times()[:2]) for process in family))
        except psutil.Error:
            return None

    def memory(self) -> memory.Held | None:
        """See Job."""
        return memory.held(self.worker) if self.worker is not None else None

    def kill(self) -> None:
        """End it and whatever it has started, in its process group and out of it."""
        if self.process.pid is not None:
            lock.end_family(self.process.pid)
        self.process.join(5)
        self.pipe.close()

    def _leave(self) -> None:
        """Its last message is sent: it is leaving, and what it started has no more to do."""
        self.process.join(5)
        self.kill()

    def _died(self) -> Died:
        self.process.join(5)
        code = self.process.exitcode
        killed = code == -signal.SIGKILL
        self.kill()
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit status {code}"
        if killed and _memory_kills() > self.kills:
            return Died("the system ended the worker for want of memory", out_of_memory=True)
        return Died(f"the worker process {self.process.pid} ended by {how}")


class LocalLauncher(Launcher):
    """As many workers at once as there are slots, with the processor's threads divided among them."""

    def __init__(self, resources: Resources, study: str, leaves: bool = False) -> None:
        """The server that workers are forked from imports ``study``, once for all workers.

        ``leaves``: a trial leaves with a checkpoint where its worker hears SIGTERM, which the supervisor may not hear.
        """
        self.resources, self.leaves = resources, leaves
        self.before = {name: os.environ.get(name) for name in (*THREAD_VARIABLES, *WAITING)}
        # Read when the server imports torch.
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(resources.threads)))
        os.environ.update({name: os.environ.get(name) or value for name, value in WAITING.items()})
        self.context = multiprocessing.get_context("forkserver")
        # What is not a module of ours cannot be imported by name.
        modules = [*PRELOAD, *([] if study.endswith(".py") else [f"studies.{study}"])]
        self.context.set_forkserver_preload(modules)
        from multiprocessing import forkserver

        server_start.choose_socket_folder()
        with server_start.own_modules_first():
            forkserver.ensure_running()

    def launch(self, task: Task) -> LocalJob:
        """Fork a worker for the task."""
        end = time.monotonic() + FORK_SECONDS
        while True:
            ours, theirs = self.context.Pipe()
            arguments = task, theirs, self.leaves
            process = self.context.Process(target=_work, args=arguments, name=f"{task.sweep}-{task.trial}")
            try:
                with _nameless_main():
                    process.start()
            except (EOFError, OSError):  # the server has just died, and is started anew
                ours.close()  # a worker that was forked all the same finds nobody to talk to, and leaves
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)  # until the system knows that it is dead
            else:
                return LocalJob(process, ours)
            finally:
                theirs.close()

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """See Launcher."""
        local = [job for job in jobs if isinstance(job, LocalJob)]
        # The sentinel of a worker whose server has died says nothing any more; its pipe closes when it leaves.
        sentinels = [job.process.sentinel for job in local if job.process.exitcode is None or job.is_gone()]
        wait([*[job.pipe for job in local], *sentinels], seconds)

    def close(self) -> None:
        """The server leaves with this process."""
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _nameless_main() -> Iterator[None]:
    """Have workers not import the program that started us: a script that begins a sweep would begin it in each of them."""
    main = vars(sys.modules["__main__"])
    attributes: dict[str, Any] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main["__spec__"] = None
    main.pop("__file__", None)
    try:
        yield
    finally:
        main.update(attributes)


def _memory_kills(system: Path = Path("/")) -> int:
    """How many processes the system has ended for want of memory so far; 0 where it does not tell.

    Of our control group, where it counts them: on a machine that is shared, containers of others lack memory as well.
    """
    places = ["proc/vmstat"]
    with suppress(OSError):
        for line in (system / "proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):  # version 2, where there is one group
                places.insert(0, f"sys/fs/cgroup/{line[4:]}/memory.events")
    for place in places:
        with suppress(OSError, ValueError):
            for line in (system / place).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0
