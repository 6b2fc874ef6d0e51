"""README, ARCHITECTURE, CONTRIBUTING, CHANGELOG and docs/: short lines, and links and files that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.figures.catalogue import FIGURES
from orchestrator.launchers import LAUNCHERS
from tests.support.paths import ROOT

COLUMNS = 100
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FOLDERS = ("orchestrator", "models", "samplers", "studies", "tests", "benchmarks", "docs", ".ci")
MISSING_ON_PURPOSE = ("your", "toy")  # in names of files that the reader is to write


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The lines outside code blocks, with their numbers."""
    in_code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield number, line


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = [line.lstrip("#").strip().lower() for _, line in prose(path) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_lines_are_short(path: Path) -> None:
    """Tables, images and a single long link cannot be broken."""
    long = [
        number
        for number, line in prose(path)
        if len(line) > COLUMNS and not line.lstrip().startswith(("|", "![")) and len(line.split()) > 2
    ]
    assert long == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = "\n".join(line for _, line in prose(path))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(there), f"{target} names no heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_files_that_are_named_exist(path: Path) -> None:
    spans = re.findall(r"`([\w.\-]+/[\w./\-]+\.\w+|[\w.\-]+/[\w./\-]*/)`", "\n".join(line for _, line in prose(path)))
    named = {
        span for span in spans if span.startswith(FOLDERS) and not any(word in span for word in MISSING_ON_PURPOSE)
    }
    assert sorted(span for span in named if not (ROOT / span).exists()) == []


def test_the_tables_of_rooms_name_files_that_exist() -> None:
    """A row of ARCHITECTURE that begins with a folder names files of that folder."""
    rows = re.findall(r"^\| `([\w/]+/)` \|(.*)\|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    assert len(rows) > 15
    missing = [
        folder + file
        for folder, text in rows
        for file in re.findall(r"`(\w+\.py|\w+/)`", text)
        if not (ROOT / folder / file).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("floor", sorted(path.name for path in (ROOT / "orchestrator").glob("[a-z]*/")))
def test_every_file_of_the_orchestrator_is_on_the_map(floor: str) -> None:
    row = re.search(rf"^\| `orchestrator/{floor}/` \|.*$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    assert row, f"ARCHITECTURE has no row for orchestrator/{floor}/"
    files = {path.name for path in (ROOT / "orchestrator" / floor).glob("*.py")} - {"__init__.py"}
    if floor == "figures":  # one line in the catalogue is enough
        files -= {f"{figure.function.partition(':')[0]}.py" for figure in FIGURES.values()}
    if floor == "launchers":  # likewise in the registry
        files -= {f"{place.partition(':')[0].rpartition('.')[2]}.py" for place in LAUNCHERS.values()}
    assert sorted(file for file in files if f"`{file}`" not in row[0]) == []
