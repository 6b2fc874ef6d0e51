"""Which faults are put in: those of cosmic-ray (pip install 'generative-sweeps[dev]'), and calls that are left out."""

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Where faults are put.
AREAS = {
    "samplers": ("samplers",),
    "metrics": ("models/parts/evaluation", "models/ebm/likelihood.py"),
    "training": ("models/ebm", "models/jem", "models/gan", "models/dvae", "models/parts/training"),
    "orchestration": ("orchestrator/delivery", "orchestrator/supervisor", "orchestrator/worker", "orchestrator/search"),
    "statistics": ("orchestrator/analysis",),
    "studies": ("studies",),
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
    places = [ROOT / place for place in AREAS[area]]
    listed = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    return [path for path in listed if path.name != "__init__.py"]


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
