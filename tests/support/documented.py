"""The commands that README, docs/ and every `--help` show their reader."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from orchestrator.cli.main import main
from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACEHOLDERS = {
    "NAME": "ebm-digits-1",
    "TRIAL": "1",
    "FOLDER": ".",
    "FILE": "ebm.zip",
    "ID": "1",
    "SECONDS": "60",
    "ebm-digits-1/7": "trained/0",
}


class Shown(NamedTuple):
    """A command, and where it is shown."""

    page: str
    line: str

    @property
    def words(self) -> list[str]:
        """As a shell parts them, with something for each placeholder."""
        words = shlex.split(self.line)
        return [PLACEHOLDERS.get(word, word) for word in words]


def everywhere() -> list[Shown]:
    """Each command once, in the order in which a reader meets them."""
    found = [shown for path in PAGES for shown in _of_page(path)]
    found += [
        shown for name, command in [("", main), *sorted(main.commands.items())] for shown in of_help(name, command)
    ]
    once: dict[str, Shown] = {}
    for shown in found:
        once.setdefault(shown.line, shown)
    return list(once.values())


def of_help(name: str, command: click.Command) -> Iterator[Shown]:
    """The lines of a help that begin with `sweep`, without what they say beside it."""
    for line in (command.help or "").splitlines():
        if re.match(r"\s*sweep \w", line):
            yield Shown(f"sweep {name} --help".replace("  ", " "), re.split(r"\s{2,}", line.strip())[0])


def _of_page(path: Path) -> Iterator[Shown]:
    """Lines of its console blocks, and what stands between backticks in its text and is a whole command."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            if command := " ".join(re.sub(r"(^|\s)# .*", "", line).split()):
                yield Shown(path.name, command)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for command in re.findall(r"`((?:sweep|mlflow|python -m|pytest|pip) [^`]+)`", prose):
        if "…" not in command and len(command.split()) > 2 + command.startswith("python"):  # shorter ones are names
            yield Shown(path.name, " ".join(command.split()))
