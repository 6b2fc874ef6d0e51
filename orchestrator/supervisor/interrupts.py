"""Reasons to end a sweep early, in order: Ctrl-C, a signal, or a parent that is gone."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

PARENT_SECONDS = 1.0  # between looks at the parent


class InterruptWatcher:
    """Tells whether the sweep should end. A second Ctrl-C ends it at once, by KeyboardInterrupt."""

    def __init__(self, under_mlflow: bool = False) -> None:
        """``under_mlflow``: `mlflow run` started us, and the sweep ends when that is gone."""
        self.reason = ""
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
        """Hear SIGINT and SIGTERM inside the block, if this is the main thread: another one cannot."""
        main = threading.current_thread() is threading.main_thread()
        heard = (signal.SIGINT, signal.SIGTERM) if main else ()
        before = {number: signal.signal(number, self._hear) for number in heard}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.reason:
            raise KeyboardInterrupt
        self.reason = "interrupted" if number == signal.SIGINT else "terminated"


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
