"""Reasons to end a sweep early, in order: Ctrl-C, a signal, or a parent that is gone."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

PARENT_SECONDS = 1.0  # between looks at the parent
REASONS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated by SIGTERM",
    signal.SIGHUP: "its terminal was closed (SIGHUP)",
}
OUTPUTS = (1, 2)  # file descriptors of what is printed


class InterruptWatcher:
    """Tells whether the sweep should end. A second Ctrl-C ends it at once, by KeyboardInterrupt.

    Another signal may come twice at once: `timeout` sends it to its command, and then to the group that this is in.
    """

    def __init__(self, under_mlflow: bool = False) -> None:
        """``under_mlflow``: `mlflow run` started us, and the sweep ends when that is gone."""
        self.reason = ""
        self.terminals = [output for output in OUTPUTS if os.isatty(output)]
        self.ancestors = _mlflow_run() if under_mlflow else []
        self.checked = time.monotonic()

    def __call__(self) -> str:
        """Why the sweep should end, or ''."""
        now = time.monotonic()
        if not self.reason and now - self.checked > PARENT_SECONDS:
            self.checked = now
            if not all(_alive(process) for process in self.ancestors):
                self.reason = "`mlflow run`, which started it, is gone"
        return self.reason

    @contextmanager
    def listening(self) -> Iterator["InterruptWatcher"]:
        """Hear signals inside the block, if this is the main thread: another one cannot. `nohup` ignores SIGHUP, and so do we."""
        main = threading.current_thread() is threading.main_thread()
        heard = [number for number in REASONS if main and signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._hear) for number in heard}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGHUP:
            self._leave_terminal()
        self.reason = self.reason or REASONS[signal.Signals(number)]

    @contextmanager
    def printing(self) -> Iterator[None]:
        """Print inside the block. That a terminal is closed may be noticed here before the signal is heard."""
        try:
            yield
        except OSError as error:
            if error.errno != errno.EIO or not self.terminals:
                raise
            self._hear(signal.SIGHUP, None)

    def _leave_terminal(self) -> None:
        """Print into nothing: a terminal that is closed takes nothing any more."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        for output in self.terminals:
            os.dup2(nothing, output)
        os.close(nothing)


def _mlflow_run() -> list[psutil.Process]:
    """The processes from our parent up to the `mlflow run` that started us; [] where none did.

    It runs us through a shell, so being orphaned shows only at the shell's parent.
    """
    chain: list[psutil.Process] = []
    for process in psutil.Process().parents():
        chain.append(process)
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            return []
        if "mlflow" in command and " run" in command:
            return chain
    return []


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
