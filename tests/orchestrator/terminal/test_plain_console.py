"""Texts of users are shown as they are, whatever rich or a terminal would make of them."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from orchestrator.terminal.plain_console import PlainConsole


def shown(*things: object) -> str:
    console = PlainConsole(file=io.StringIO(), width=100)
    console.print(*things, highlight=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().strip()


@pytest.mark.parametrize(
    "text", ["it's [red]q[_red].py", "[/nothing]", "a[bold]b[/]", ":smile:", "[link=x]y", "ünï 漢"]
)
def test_brackets_are_no_markup(text: str) -> None:
    assert shown(text) == text
    table = Table(show_header=False, box=None)
    table.add_row(text)
    assert shown(table) == text


@pytest.mark.parametrize(
    ("text", "visible"), [("\x1b[31mred", "\\x1b[31mred"), ("a\x07b", "a\\x07b"), ("\x9b2J", "\\x9b2J")]
)
def test_control_characters_steer_no_terminal(text: str, visible: str) -> None:
    assert shown(text).replace("\x07", "\\x07") in (visible, visible.replace("\\x07", ""))
    assert "\x1b" not in shown(Text(text)) and "\x9b" not in shown(Text(text))


def test_lines_stay_lines() -> None:
    assert shown("one\ntwo") == "one\ntwo"
