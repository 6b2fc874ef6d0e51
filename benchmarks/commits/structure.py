"""Numbers on how the files of a checkout are arranged, as a markdown table.

    python benchmarks/commits/structure.py CHECKOUT [CHECKOUT …]      a column for each
    python benchmarks/commits/structure.py --detail CHECKOUT          and below the table what was counted

Reads files only (ast, no import of the project), so any layout of the packages does; needs Python 3.11 or newer (tomllib).
  largest folder    Python files directly in one folder, of the four packages
  import circles    strongly connected components of more than one module. "at import": imports that run when a module is imported
                    (not in functions, not below TYPE_CHECKING). "of any kind": all of them. `from a import b` is an import of a.b
                    where that is a module, else of a. Packages' own __init__ are modules like others.
  ignore lines      entries of ignore_imports in all of import-linter's contracts (pyproject.toml, .importlinter, setup.cfg)
  import optuna     files of the four packages that hold such an import anywhere, TYPE_CHECKING included
  narrative names   of names that functions bind (parameters, assignments, loops, with, except, :=, comprehensions; not
                    attributes, not _ alone), each counted once a function: those that are in WORDS
  function lines    from `def` to the end, decorators aside, docstring included; methods and inner functions too
  train             functions called train in models/
  docs              lines of more than 100 columns; tables, code blocks, headings' and pictures' lines aside; targets of links do
                    not count as columns
"""

import ast
import re
import statistics
import sys
from collections import Counter
from pathlib import Path

import tomllib

PACKAGES = ("orchestrator", "studies", "models", "samplers")
WORDS = frozenset("one found said told kept some asked its words beside these".split())
WIDE = 100
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Tree:
    """The Python files of the four packages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
        self.parsed = {path: ast.parse(path.read_text(), str(path)) for path in self.files}
        self.modules = {self.module(path): path for path in self.files}

    def name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def module(self, path: Path) -> str:
        parts = path.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def within(self, package: str) -> list[Path]:
        return [path for path in self.files if path.relative_to(self.root).parts[0] == package]


def imports(tree: Tree, path: Path, only_at_import: bool) -> set[str]:
    """All modules, ours or others, that a file names in imports."""
    found: set[str] = set()
    package = tree.module(path) if path.name == "__init__.py" else tree.module(path).rpartition(".")[0]

    def visit(node: ast.AST) -> None:
        if only_at_import and isinstance(node, FUNCTIONS):
            return
        if only_at_import and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                visit(other)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in tree.modules else base)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree.parsed[path])
    return found


def circles(tree: Tree, only_at_import: bool) -> list[list[str]]:
    """Tarjan's strongly connected components of more than one module."""
    graph = {
        module: sorted(one for one in imports(tree, path, only_at_import) if one in tree.modules and one != module)
        for module, path in tree.modules.items()
    }
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result: list[list[str]] = []

    def connect(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                connect(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = []
            while True:
                component.append(stack.pop())
                if component[-1] == node:
                    break
            if len(component) > 1:
                result.append(sorted(component))

    sys.setrecursionlimit(10_000)
    for node in graph:
        if node not in index:
            connect(node)
    return result


def ignored(root: Path) -> list[str]:
    lines: list[str] = []
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    for contract in settings.get("tool", {}).get("importlinter", {}).get("contracts", []):
        lines += contract.get("ignore_imports", [])
    for name in (".importlinter", "setup.cfg"):
        if (root / name).is_file():
            inside = False
            for line in (root / name).read_text().splitlines():
                inside = line.strip().startswith("ignore_imports") or (inside and line[:1].isspace())
                lines += [line.strip()] if inside and "->" in line else []
    return lines


def bound(function: ast.AST) -> set[str]:
    """Names that a function binds itself: inner functions and classes have their own."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, (*FUNCTIONS, ast.ClassDef)):  # lambdas and comprehensions count here
                visit(child)

    for child in ast.iter_child_nodes(function):
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            visit(child)
    return names - {"_", "self", "cls"}


def functions(tree: Tree, paths: list[Path]) -> list[tuple[str, str, int]]:
    """File, name and lines of each."""
    return [
        (tree.name(path), node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for path in paths
        for node in ast.walk(tree.parsed[path])
        if isinstance(node, FUNCTIONS)
    ]


def p90(values: list[int]) -> float:
    return statistics.quantiles(values, n=10, method="inclusive")[-1]


def wide_lines(root: Path) -> tuple[list[str], int]:
    """Lines of prose that are too wide, and lines of prose in all."""
    found, total = [], 0
    docs = [root / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")]
    for path in [*docs, *sorted((root / "docs").rglob("*.md"))]:
        if not path.is_file():
            continue
        fenced = False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.lstrip().startswith(("```", "~~~")):
                fenced = not fenced
                continue
            if fenced or not line.strip() or line.lstrip().startswith(("|", "#", "![", "<")) or line.startswith("    "):
                continue
            total += 1
            shown = re.sub(r"https?://\S+", "", re.sub(r"\]\([^)]*\)", "]", line))
            if len(shown) > WIDE:
                found.append(f"{path.relative_to(root)}:{number}")
    return found, total


def measured(root: Path) -> tuple[dict[str, str], list[str]]:
    """The numbers by name, and what was counted."""
    tree = Tree(root)
    rows: dict[str, str] = {}
    detail: list[str] = []

    def row(name: str, value: object, counted: list[str] | None = None) -> None:
        rows[name] = str(value)
        if counted:
            detail.extend(["", f"{name}:", *(f"  {line}" for line in counted)])

    folders = Counter(tree.name(path.parent) for path in tree.files)
    (folder, most), *_ = folders.most_common()
    row(
        "Python files in the largest folder",
        f"{most} ({folder}/)",
        [f"{n:3} {name}/" for name, n in folders.most_common()],
    )
    row("Python files, lines", f"{len(tree.files)}, {sum(len(path.read_text().splitlines()) for path in tree.files)}")
    for words, only in (("at import", True), ("of any kind", False)):
        found = circles(tree, only)
        size = f"{len(found)}" + (f" (of {', '.join(str(len(one)) for one in found)} modules)" if found else "")
        row(f"import circles, {words}", size, [" ".join(one) for one in found])
    lines = ignored(root)
    row("ignore lines in import contracts", len(lines))
    users = [tree.name(path) for path in tree.within("orchestrator") if "user_attrs" in path.read_text()]
    row("files of orchestrator/ that mention user_attrs", len(users), users)
    for library in ("optuna", "mlflow", "torch"):
        users = [
            tree.name(path)
            for path in tree.files
            if any(one.split(".")[0] == library for one in imports(tree, path, False))
        ]
        row(f"files that import {library}", len(users), users if library != "torch" else None)
    every = Counter[str]()
    narrative: list[str] = []
    for path in tree.files:
        for node in ast.walk(tree.parsed[path]):
            if isinstance(node, FUNCTIONS):
                names = bound(node)
                every.update(names)
                narrative += [f"{tree.name(path)}:{node.lineno} {node.name}: {name}" for name in sorted(names & WORDS)]
    share = len(narrative) / max(1, every.total())
    row("share of local names in the list of words", f"{share:.1%} ({len(narrative)} of {every.total()})")
    detail += ["", "by word:", *(f"  {every[word]:4} {word}" for word in sorted(WORDS, key=lambda word: -every[word]))]
    for words, paths in (("all packages", tree.files), ("models/", tree.within("models"))):
        sizes = functions(tree, paths)
        longest = sorted(sizes, key=lambda one: -one[2])
        values = [n for _, _, n in sizes]
        row(
            f"function lines, {words}: p90, maximum",
            f"{p90(values):.0f}, {longest[0][2]} ({longest[0][0]} {longest[0][1]})",
            [f"{n:4} {path} {name}" for path, name, n in longest[:15]],
        )
    for path, name, n in functions(tree, tree.within("models")):
        if name == "train":
            parts = [
                part
                for part in Path(path).with_suffix("").parts[1:]
                if part not in ("__init__", "train", "training", "trainer")
            ]
            row(f"lines of train: {'/'.join(parts)}", n)
    wide, total = wide_lines(root)
    row(
        f"docs lines over {WIDE} columns",
        f"{len(wide)} of {total}",
        [f"{n:4} {name}" for name, n in Counter(one.split(":")[0] for one in wide).items()],
    )
    return rows, detail


def main() -> None:
    roots = [Path(one).resolve() for one in sys.argv[1:] if one != "--detail"]
    if not roots:
        raise SystemExit(__doc__)
    results = [measured(root) for root in roots]
    names = list(dict.fromkeys(name for rows, _ in results for name in rows))
    print(f"| what | {' | '.join(str(root) for root in roots)} |\n|---|{'---|' * len(roots)}")
    for name in names:
        print(f"| {name} | {' | '.join(rows.get(name, '–') for rows, _ in results)} |")
    if "--detail" in sys.argv:
        for root, (_, detail) in zip(roots, results, strict=True):
            print(f"\n{root}", *detail, sep="\n")


if __name__ == "__main__":
    main()
