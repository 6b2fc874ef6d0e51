"""Which tests run which line: the fast tests run once under coverage.py, and the answer is stored for this state of the code."""

import ast
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage, CoverageData

from benchmarks.mutants import forked

CODE = ("samplers", "models", "studies", "orchestrator", "tests")
FOLDERS = ("tests/samplers", "tests/models", "tests/studies", "tests/orchestrator")
# Of the processes that tests start: pytest tells each the name of the test, in its environment.
SETTINGS = """[run]
data_file = {data}
source = {source}
parallel = true
context = ${{PYTEST_CURRENT_TEST-}}
patch = fork, _exit
disable_warnings = no-data-collected, module-not-imported, module-not-measured
"""


class Reach:
    """Tests with their seconds, and which of them run which line."""

    def __init__(self, seconds: dict[str, float], lines: dict[str, dict[str, list[int]]]) -> None:
        """``lines``: file, number of the line, numbers of tests in the order of ``seconds``."""
        self.names, self.seconds, self.lines = list(seconds), seconds, lines

    def without(self, test: str) -> None:
        """Choose a test no more."""
        del self.seconds[test]

    def tests(self, folder: Path, file: str, line: int, limit: float) -> dict[str, float]:
        """The tests that should notice a fault in this line, with their seconds, which sum to ``limit`` at most.

        First those that run its statement, then those of the folder that mirrors the file's, then those that run
        another line of the file; of each, the fastest first.
        """
        by_line = self.lines.get(file, {})
        near = {
            test for row in statement((folder / file).read_text("utf-8"), line) for test in by_line.get(str(row), ())
        }
        far = {test for tests in by_line.values() for test in tests}
        mirror = Path("tests", file).parent
        while not (folder / mirror).is_dir():
            mirror = mirror.parent
        ranks = {}
        for number, name in enumerate(self.names):
            mirrored = name.startswith(f"{mirror.as_posix()}/")
            if name in self.seconds and (mirrored or number in far):
                ranks[name] = number not in near, not mirrored, self.seconds[name]
        chosen, total = dict[str, float](), 0.0
        for name in sorted(ranks, key=ranks.__getitem__):
            total += self.seconds[name]
            if chosen and total > limit:
                break
            chosen[name] = self.seconds[name]
        return chosen


def statement(code: str, line: int) -> range:
    """The lines of the smallest statement around a line: of a loop or condition its head, of a function all."""
    smallest = range(line, line + 1)
    for node in ast.walk(ast.parse(code)):  # outer ones come first
        if not isinstance(node, ast.stmt) or isinstance(node, ast.ClassDef):
            continue
        first, last = node.lineno, node.end_lineno or node.lineno
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([first, *(decorator.lineno for decorator in node.decorator_list)])
        elif body := getattr(node, "body", None):
            last = max(first, body[0].lineno - 1)
        if line in range(first, last + 1):
            smallest = range(first, last + 1)
    return smallest


def measured(folder: Path, files: Sequence[str], cache: Path) -> Reach:
    """What the tests in ``folder`` reach of these files: read from ``cache`` if it was measured for the same code."""
    digest = hashlib.sha256()
    for path in sorted(path for name in CODE for path in (folder / name).rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    stored = cache / f"{digest.hexdigest()[:16]}.json"
    if not stored.exists():
        results = _measure(folder, files)
        cache.mkdir(parents=True, exist_ok=True)
        stored.with_suffix(".part").write_text(json.dumps(results))
        os.replace(stored.with_suffix(".part"), stored)
    return Reach(*json.loads(stored.read_text()))


def _measure(folder: Path, files: Sequence[str]) -> tuple[dict[str, float], dict[str, dict[int, list[int]]]]:
    data, settings = folder.with_suffix(".coverage"), folder.with_suffix(".ini")
    source = ",".join(str(folder / name) for name in CODE[:-1])
    settings.write_text(SETTINGS.format(data=data, source=source))
    os.environ["COVERAGE_PROCESS_START"] = str(settings)
    try:
        run = forked.run(folder, FOLDERS, {}, plugin=_Contexts(settings))
    finally:
        del os.environ["COVERAGE_PROCESS_START"]
    if not run.seconds:
        raise SystemExit(f"the tests do not run: see {folder.with_suffix('.txt')}")
    passed = {test: seconds for test, seconds in run.seconds.items() if test not in run.failed}
    print(f"{len(passed)} tests pass in {sum(passed.values()):.0f} s. These fail, and are left out:", *run.failed)
    coverage = Coverage(config_file=str(settings))
    coverage.combine(strict=True)
    return passed, {file: _lines(coverage.get_data(), folder / file, list(passed)) for file in files}


def _lines(data: CoverageData, path: Path, tests: list[str]) -> dict[int, list[int]]:
    """Numbers of tests by line. What a test's fixtures run counts for all tests of its file, for these may share them."""
    numbers, by_file = {test: number for number, test in enumerate(tests)}, defaultdict(set)
    for test, number in numbers.items():
        by_file[test.partition("::")[0]].add(number)
    lines = dict[int, list[int]]()
    for line, contexts in data.contexts_by_lineno(str(path)).items():
        reached = set[int]()
        for test, _, phase in (context.rpartition(" ") for context in contexts):
            if phase == "(setup)":
                reached |= by_file[test.partition("::")[0]]
            elif test in numbers:
                reached.add(numbers[test])
        if reached:
            lines[line] = sorted(reached)
    return lines


class _Contexts:
    """A plugin of pytest: what this process runs is measured, by test."""

    def __init__(self, settings: Path) -> None:
        self.coverage = Coverage(config_file=str(settings), context="")
        self.coverage.set_option("run:patch", [])

    def pytest_sessionstart(self) -> None:
        self.coverage.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[Any]:
        self.coverage.switch_context(f"{item.nodeid} (setup)")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[Any]:
        self.coverage.switch_context(f"{item.nodeid} (call)")
        return (yield)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        self.coverage.save()
