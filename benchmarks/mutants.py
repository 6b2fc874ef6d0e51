"""How much do the tests notice?  ``python -m benchmarks.mutants [--count 150] [--seed 0] [--area NAME] [--jobs 1]``

Small faults are put into copies of the code, one at a time, and the fast tests of the area run. A fault that no test notices
is a hole in the tests, or it changes nothing that matters. Harmless ones are listed with a reason in mutants_harmless.toml.
The faults are those of cosmic-ray (pip install 'generative-sweeps[dev]'), and calls that are left out.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Queue

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
HARMLESS = Path(__file__).with_name("mutants_harmless.toml")
TARGET = 0.95
NO_TESTS = 5  # pytest's exit status where a folder has no fast test
LIMIT = 900.0  # seconds for the tests of one mutant; only a hang reaches it
# Area -> where faults are put, and the tests that run for them beside those of the mirrored folder.
AREAS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "samplers": (("samplers",), ("tests/samplers",)),
    "metrics": (("models/parts/evaluation", "models/ebm/likelihood.py"), ("tests/models/ebm/test_likelihood.py",)),
    "training": (("models/ebm", "models/jem", "models/gan", "models/dvae", "models/parts/training"), ("tests/models",)),
    "orchestration": (
        ("orchestrator/delivery", "orchestrator/supervisor", "orchestrator/worker", "orchestrator/search"),
        ("tests/orchestrator/supervisor", "tests/orchestrator/delivery", "tests/orchestrator/worker"),
    ),
    "statistics": (("orchestrator/analysis",), ("tests/orchestrator/analysis", "tests/orchestrator/reports")),
    "studies": (("studies",), ("tests/studies",)),
}
# Not drawn: what changes types or the interpreter's errors only.
LEFT_OUT = ("RemoveDecorator", "ExceptionReplacer", "VariableReplacer", "VariableInserter", "BitOr", "BitAnd", "MatMul")


@dataclass(frozen=True)
class Mutant:
    """One line of one file, changed."""

    area: str
    file: str
    line: int
    before: str
    after: str
    text: str  # of the whole file

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n    - {self.before}\n    + {self.after}"


def files(area: str) -> list[Path]:
    """The Python files of an area, without those that only make a package."""
    places = [ROOT / place for place in AREAS[area][0]]
    listed = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    return [path for path in listed if path.name != "__init__.py"]


def tests(mutant: Mutant) -> list[str]:
    """The tests that should notice it: first those of the folder that mirrors the file's, then those of its area."""
    mirrored = Path("tests", mutant.file).parent
    while not (ROOT / mirrored).is_dir():
        mirrored = mirrored.parent
    return list(dict.fromkeys([str(mirrored), *AREAS[mutant.area][1]]))


@cache
def places(path: Path) -> dict[int, list[tuple[str, int]]]:
    """What can be changed in each line of a file: names of operators, and which of the operator's occurrences it is."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    code, found = path.read_text(encoding="utf-8"), dict[int, list[tuple[str, int]]]()
    nodes = list(ast_nodes(get_ast(code)))
    for name in operator_names():
        if not any(part in name for part in LEFT_OUT):
            positions = [position for node in nodes for position in get_operator(name)().mutation_positions(node)]
            for occurrence, (start, _) in enumerate(positions):
                found.setdefault(start[0], []).append((name, occurrence))
    for occurrence, (line, _) in enumerate(_without_calls(code)):
        found.setdefault(line, []).append(("", occurrence))
    return found


def mutant(area: str, path: Path, name: str, occurrence: int) -> Mutant | None:
    """The file with one change; None where the change is none."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    code, file = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    text = mutate_code(code, get_operator(name)(), occurrence) if name else list(_without_calls(code))[occurrence][1]
    return _mutant(area, file, code, text) if text is not None else None


def _without_calls(code: str) -> Iterator[tuple[int, str]]:
    """A line's number, and the code without one statement that is a call or one method call such as ``.log()``."""
    lines = code.splitlines(keepends=True)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            yield node.lineno, "".join([*lines[:first], lines[first][: node.col_offset] + "pass\n", *lines[last:]])
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args and not node.keywords
        ):
            owner = node.func.value
            if node.lineno == node.end_lineno and owner.end_lineno == node.lineno and lines[node.lineno - 1].isascii():
                row = lines[node.lineno - 1]
                row = row[: owner.end_col_offset] + row[node.end_col_offset :]
                yield node.lineno, "".join([*lines[: node.lineno - 1], row, *lines[node.lineno :]])


def _mutant(area: str, file: str, code: str, text: str) -> Mutant | None:
    old, new = code.splitlines(), text.splitlines()
    number = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    if number is None:
        return None
    try:
        if ast.dump(ast.parse(code)) == ast.dump(ast.parse(text)):
            return None
    except SyntaxError:
        return None
    return Mutant(area, file, number + 1, old[number].strip(), new[number].strip(), text)


def sample(areas: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """``count`` mutants: a random line of the areas' code that can be changed, and a random change of it."""
    chance = random.Random(seed)
    pool = [(area, path) for area in areas for path in files(area)]
    weights = [len(path.read_text(encoding="utf-8").splitlines()) for _, path in pool]
    chosen: dict[tuple[str, int, str], Mutant] = {}
    while len(chosen) < count:
        area, path = chance.choices(pool, weights)[0]
        by_line = places(path)
        if by_line:
            drawn = mutant(area, path, *chance.choice(by_line[chance.choice(sorted(by_line))]))
            if drawn is not None:
                chosen[drawn.file, drawn.line, drawn.after] = drawn
    return list(chosen.values())


def harmless() -> dict[tuple[str, str, str], str]:
    """Changes that matter to nobody, by file and line before and after, with the reason."""
    listed = tomllib.loads(HARMLESS.read_text(encoding="utf-8")).get("harmless", [])
    return {(one["file"], one["before"], one["after"]): one["reason"] for one in listed}


def copy(folder: Path) -> Path:
    """A copy of all files that git knows, to put faults into."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run_tests(folder: Path, chosen: str) -> str:
    """`caught`, `hung` or `survived`."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not long"]
    with tempfile.TemporaryDirectory() as temporary:
        process = subprocess.Popen(
            [*command, chosen, f"--basetemp={temporary}/t"],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            return "hung"
    return "survived" if status in (0, NO_TESTS) else "caught"


def attempt(folder: Path, mutant: Mutant) -> str:
    """Put the fault in, run the tests until one notices it, take it out."""
    path = folder / mutant.file
    original = path.read_bytes()
    path.write_text(mutant.text, encoding="utf-8")
    try:
        results = (run_tests(folder, chosen) for chosen in tests(mutant))
        return next((result for result in results if result != "survived"), "survived")
    finally:
        path.write_bytes(original)


def main() -> int:
    """Draw mutants, try each, print what became of it; exit status 1 below the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description="How much do the tests notice?")
    parser.add_argument("--count", type=int, default=150, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--area", choices=sorted(AREAS), action="append", help="all, unless named")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--list", action="store_true", help="print the sample and try none")
    options = parser.parse_args()
    drawn = sample(options.area or list(AREAS), options.count, options.seed)
    if options.list:
        print(*drawn, sep="\n")
        return 0
    known, results, began = harmless(), Counter[tuple[str, str]](), time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folders: Queue[Path] = Queue()
        for number in range(options.jobs):
            folders.put(copy(Path(temporary, str(number))))

        def tried(mutant: Mutant) -> str:
            if (mutant.file, mutant.before, mutant.after) in known:
                return "harmless"
            folder = folders.get()
            try:
                return attempt(folder, mutant)
            finally:
                folders.put(folder)

        for chosen in sorted({chosen for mutant in drawn for chosen in tests(mutant)}):
            if run_tests(folders.queue[0], chosen) != "survived":
                raise SystemExit(f"without any fault these tests do not pass: {chosen}")
        with ThreadPoolExecutor(options.jobs) as pool:
            for mutant, result in zip(drawn, pool.map(tried, drawn), strict=True):
                results[mutant.area, result] += 1
                print(f"{result:9} {mutant}", flush=True)
    return summary(results, time.monotonic() - began)


def summary(results: Counter[tuple[str, str]], seconds: float) -> int:
    """Print the table; returns the exit status."""
    print(f"\n{'area':14}{'mutants':>8}{'caught':>8}{'hung':>6}{'harmless':>10}{'survived':>10}")
    for area in sorted({area for area, _ in results}):
        row = [results[area, result] for result in ("caught", "hung", "harmless", "survived")]
        print(f"{area:14}{sum(row):8}{row[0]:8}{row[1]:6}{row[2]:10}{row[3]:10}")
    total = Counter[str]()
    for (_, result), count in results.items():
        total[result] += count
    noticed, survived = total["caught"] + total["hung"], total["survived"]
    share = noticed / max(1, noticed + survived)
    print(f"{share:.1%} of what matters is noticed (target {TARGET:.0%}), in {seconds / 60:.0f} minutes")
    return 0 if share >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
