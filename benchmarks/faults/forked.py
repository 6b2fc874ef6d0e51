"""Commands in processes that have imported everything already, so that thousands of starts take minutes.

What is imported changes nothing in the stores. So a kill at a random moment of such a process falls among the acts that matter.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks._figure import environment

LIMIT = 1800  # seconds that no command takes unless it hangs
OUTPUT = "output.txt"  # of the last command in a folder
CONTEXT = multiprocessing.get_context("forkserver")
IMPORTED = [
    "models.data.dataset",
    "orchestrator.cli.main",
    "orchestrator.figures.catalogue",
    "orchestrator.session",
    "orchestrator.tracking.mlflow_tables",
    "orchestrator.tracking.model_registry",
    "sklearn.datasets",
    "torch",
]
CONTEXT.set_forkserver_preload(IMPORTED)


class Command:
    """A command of ``sweep`` that runs in a folder; ``variables`` are added to its environment."""

    def __init__(self, folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> None:
        self.output = folder / f"{OUTPUT}.{os.urandom(4).hex()}"
        self.output.touch()
        everything = {**environment(), **(variables or {})}
        self.process = CONTEXT.Process(target=_command, args=(folder, self.output, everything, arguments))
        self.process.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid or 0

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.is_alive()

    def interrupt(self) -> None:
        """Press Ctrl-C, of which only this process hears."""
        os.kill(self.pid, signal.SIGINT)

    def end(self) -> int:
        """Wait for its end; returns the exit status, a signal's number being negative."""
        self.process.join(LIMIT)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"nothing happened for {LIMIT} s: {self.output.read_text()}")
        return self.process.exitcode

    def succeeds(self, when: str) -> bool:
        """Whether it ends with status 0; what it printed is shown where it does not."""
        status = self.end()
        if status:
            print(f"status {status} {when}: {self.output.read_text().strip()[-400:]}", file=sys.stderr)
        return status == 0


def _command(folder: Path, output: Path, variables: Mapping[str, str], arguments: tuple[str, ...]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from orchestrator.cli.main import main

    main(list(arguments), prog_name="sweep")
