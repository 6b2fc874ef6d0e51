"""What tests of the orchestrator share: an empty folder, a bench in this process, commands in processes of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import cli, variables
from tests.support.bench import Bench
from tests.support.place import Place, files
from tests.support.processes import Process


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    variables.unset(monkeypatch)
    return tmp_path


@pytest.fixture
def bench(folder: Path) -> Bench:
    """See Bench."""
    return Bench()


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Process]]:
    """Start `sweep` in the background, with variables of its environment; what is left of it at the end is killed."""
    processes: list[Process] = []

    def start_one(*arguments: str, **variables: str) -> Process:
        processes.append(cli.start(*arguments, folder=folder, variables=variables))
        return processes[-1]

    yield start_one
    for process in processes:
        process.close()


@pytest.fixture
def place(folder: Path) -> Iterator[Place]:
    """A folder with its two stores as files; see Place."""
    opened = Place(folder, files(folder))
    yield opened
    opened.close()
