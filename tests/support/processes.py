"""Commands as processes: started, waited for, killed, read. One harness for every test that needs a process.

Nothing here waits for a time to pass. A test waits for an event, and LIMIT is so long that only a hang reaches it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import psutil

from tests.support.paths import ROOT

LIMIT = 300.0  # seconds; a machine that does ten other things meanwhile stays far below it
POLL_SECONDS = 0.05


def environment() -> dict[str, str]:
    """This process's environment, with the project importable from any folder and without MLflow's variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "160"}


def wait_for(condition: Callable[[], Any], seen: Callable[[], str] = lambda: "", limit: float = LIMIT) -> None:
    """Wait until ``condition`` is true. After ``limit`` seconds the test fails, and ``seen`` tells what was there."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"nothing happened within {limit:g} s\n{seen()}"
        time.sleep(POLL_SECONDS)


def wait_until_gone(processes: Sequence[psutil.Process]) -> None:
    """Wait until all these processes have ended."""
    _, alive = psutil.wait_procs(processes, timeout=LIMIT)
    assert not alive, f"still running after {LIMIT:g} s: {[(process.pid, process.cmdline()) for process in alive]}"


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal, as `kill -9` does."""
    os.kill(pid, number)


class Process:
    """A command in a process group of its own. What it prints goes to files, so a test can read it at any time."""

    def __init__(self, command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None) -> None:
        """Start ``command`` in ``folder``; ``variables`` are added to its environment."""
        self.files = TemporaryFile(), TemporaryFile()  # not in ``folder``, whose disk a test may fill
        self.texts: tuple[str, str] | None = None  # what it printed, once it has ended
        self.process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=environment() | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=self.files[0],
            stderr=self.files[1],
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status; None while it runs. A signal's number is negative."""
        return self.process.poll()

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._text(0)

    @property
    def stderr(self) -> str:
        """What it has printed on standard error so far."""
        return self._text(1)

    @property
    def output(self) -> str:
        """All that it has printed, for a message."""
        return f"exit status {self.returncode}\n{self.stdout}\n{self.stderr}"

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Wait for something that this process brings about. The test fails at once when the process has ended without it."""

        def happened() -> bool:
            ended = self.returncode is not None
            if condition():
                return True
            assert not ended, f"it ended before what was waited for\n{self.output}"
            return False

        wait_for(happened, lambda: self.output)

    def finish(self, limit: float = LIMIT) -> "Process":
        """Wait for its end."""
        wait_for(lambda: self.returncode is not None, lambda: self.output, limit)
        self._close_files()
        return self

    def kill(self) -> "Process":
        """Kill this process alone, as `kill -9` does, and wait for its end."""
        self.process.kill()
        return self.finish()

    def interrupt(self) -> "Process":
        """Press Ctrl-C: a terminal sends SIGINT to the whole group."""
        os.killpg(self.pid, signal.SIGINT)
        return self

    def family(self) -> list[psutil.Process]:
        """All processes below it."""
        try:
            return list(psutil.Process(self.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def close(self) -> None:
        """End it, and all that is below it."""
        family = self.family()
        if self.returncode is None:
            self.process.kill()
        for child in family:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.wait()
        self._close_files()

    def _text(self, number: int) -> str:
        if self.texts:
            return self.texts[number]
        # The process that writes to a file shares its position, so reading must not move it.
        file = self.files[number].fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def _close_files(self) -> None:
        self.texts = self.texts or (self._text(0), self._text(1))
        for file in self.files:
            file.close()


def python(*arguments: str) -> list[str]:
    """The command line of this Python."""
    return [sys.executable, *arguments]
