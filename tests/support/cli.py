"""The command `sweep` as its user has it: a process, its output, its exit status."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import run
from typing import NamedTuple

from tests.support.processes import LIMIT, Process, environment, python

# Options of a toy sweep whose trials wait in the middle, after 20 of 40 steps, until the file `gate` is there.
GATED = ("--set", "steps=40", "--set", "gate=gate", "--checkpoint-every", "0.5", "--pruner", "none")


class Result(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str, script: str = "") -> list[str]:
    """The command line of `sweep`; ``script`` is Python that its process runs first."""
    if script:
        return python("-c", f"{script}\nfrom orchestrator.cli.main import main\nmain()", *arguments)
    return python("-m", "orchestrator", *arguments)


def sweep(*arguments: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None) -> Result:
    """Run `sweep` to its end, in ``cwd`` or the current folder, with ``variables`` added to its environment."""
    done = run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        env=environment() | dict(variables or {}),
        cwd=cwd,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def start(*arguments: str, folder: Path | None = None, variables: Mapping[str, str] | None = None) -> Process:
    """Start `sweep` in the background. The caller closes it."""
    return Process(command(*arguments), folder or Path.cwd(), variables)


@contextmanager
def pages(folder: Path, *arguments: str) -> Iterator[dict[str, str]]:
    """The addresses that `sweep ui` prints, by name, while it runs."""
    process = start("ui", *arguments, "--port", "0", "--folder", str(folder), folder=folder)
    try:
        process.wait_for(lambda: "Ctrl-C" in process.stdout)
        lines = [line.split() for line in process.stdout.splitlines() if "http://" in line]
        yield dict(lines)  # type: ignore[arg-type]
    finally:
        process.process.terminate()
        process.finish().close()
