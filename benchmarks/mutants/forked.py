"""pytest in processes that start at once: this process imports the large libraries, and forks for each run of tests.

It imports nothing of the project: each run finds the code of the folder that it runs in.
"""

import faulthandler
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import NamedTuple

import pytest

LIBRARIES = ("torch", "mlflow", "optuna", "sklearn.cluster", "scipy.stats", "matplotlib.pyplot")
FAST = ("-m", "not slow and not long")
PATIENCE = 60.0  # seconds that a test may take beyond TIMES its usual ones; only a hang reaches them
TIMES = 10.0


class Run(NamedTuple):
    """How a run of tests ended."""

    status: int  # pytest's; negative where a signal ended it
    hung: bool
    failed: list[str]  # tests, in the order of failing
    seconds: dict[str, float]  # of each test that passed, with its fixtures


class _Watch:
    """A plugin of pytest: tests in the order of ``chosen``, a limit for each, and how each ended."""

    def __init__(self, chosen: dict[str, float]) -> None:
        self.chosen, self.order = chosen, {test: number for number, test in enumerate(chosen)}
        self.failed: list[str] = []
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.order:
            items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if self.order:
            faulthandler.dump_traceback_later(PATIENCE + TIMES * self.chosen[item.nodeid], exit=True)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)
        if report.when == "call" and report.passed or report.nodeid in self.seconds:
            self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


def preload() -> None:
    """Import what the project's tests import of others."""
    for name in LIBRARIES:
        importlib.import_module(name)


def run(folder: Path, places: Sequence[str], chosen: dict[str, float], *options: str, plugin: object = None) -> Run:
    """Run the fast tests of ``places``, files or folders below ``folder``, in a forked process.

    Where ``chosen`` names tests, with their usual seconds, only these run, in this order, each with a limit.
    """
    with TemporaryDirectory() as temporary:
        child = os.fork()
        if not child:
            _play(folder, Path(temporary), [*FAST, *options, *places], _Watch(chosen), plugin)
        _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what the tests left
        code, results = os.waitstatus_to_exitcode(status), Path(temporary, "results.json")
        if not results.exists():
            return Run(code, code == 1, [], {})
        return Run(code, False, *json.loads(results.read_text()))


def _play(folder: Path, temporary: Path, arguments: list[str], watch: _Watch, plugin: object) -> None:
    """The forked process: it never returns."""
    status = 70
    try:
        os.setsid()
        output = os.open(folder.with_suffix(".txt"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.chdir(folder)
        os.environ |= {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        sys.path[0] = str(folder)
        sys.modules["__main__"] = ModuleType("__main__")  # workers import that of the process that starts them
        for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
            del sys.modules[name]
        faulthandler.dump_traceback_later(PATIENCE if watch.chosen else 4 * 3600, exit=True)  # of collecting them
        arguments += ["-q", "-p", "no:cacheprovider", f"--basetemp={temporary}/t"]
        status = int(pytest.main(arguments, plugins=[watch, *([plugin] if plugin else [])]))
        Path(temporary, "results.json").write_text(json.dumps([watch.failed, watch.seconds]))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)
