"""The command line as it is learned: every command's help has an example, JSON for scripts, names by Tab.

``tests/test_docs.py`` types the examples.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

import studies
from orchestrator import text
from orchestrator.cli.main import main
from orchestrator.errors import UserError
from orchestrator.reports import sweep as report
from orchestrator.terminal import tables, trial_view
from orchestrator.tracking import server
from tests.support import documented
from tests.support.bench import Bench


@pytest.mark.parametrize("name", sorted(main.commands))
def test_the_help_of_every_command_has_an_example(name: str) -> None:
    assert name in {shown.words[1] for shown in documented.of_help(name, main.commands[name])}


def test_the_first_help_teaches_by_examples_and_has_room_for_what_it_says() -> None:
    assert {"run", "compare", "show", "resume", "ui"} <= {shown.words[1] for shown in documented.of_help("", main)}
    said = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["--help"]).output
    assert "ebm-digits-1" in said and "..." not in said.partition("Commands:")[2]


def asked(*arguments: str) -> Any:
    """What a command prints as JSON."""
    done = CliRunner().invoke(main, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_everything_that_lists_can_be_read_by_scripts(bench: Bench) -> None:
    book = bench.book(trials=3, pruner="none")
    bench.drive(book)
    (listed,) = asked("list")
    best = book.best()[0]
    assert (listed["sweep"], listed["finished"], listed["best"]["trial"]) == ("toy", 3, best.number)
    shown = asked("show", "toy")
    assert [one["settings"] for one in shown["every_trial"]] == [trial.params for trial in book.trials()]
    assert shown["every_trial"][best.number]["values"] == {"distance": best.values[0]}
    assert [one["trial"] for one in asked("show", "toy", "--best", "1")["every_trial"]] == [best.number]
    assert asked("show", "toy", "1")["reports"] == book.trials()[1].course
    assert {one["study"] for one in asked("studies")} == set(studies.names())
    assert asked("studies", "ebm")[0]["space"]["step_size"]["low"] == 2.0


def test_one_trial_is_told_whole_with_its_samples(bench: Bench) -> None:
    book = bench.book(trials=2, pruner="none")
    bench.drive(book)
    colours = Console(force_terminal=True, color_system="truecolor", width=80, record=True, file=open(os.devnull, "w"))
    colours.print(trial_view.view(book, 1, colours))
    colours.file.close()
    said = colours.export_text()
    assert "trial 1 of toy: complete" in said and "rank" in said and "course" in said and "steps=5" in said
    drawn = [line for line in said.splitlines() if trial_view.UPPER_HALF in line]
    assert drawn and all(line == trial_view.UPPER_HALF * 80 for line in drawn)
    plain = Console(width=80, file=open(os.devnull, "w"), record=True)
    plain.print(trial_view.view(book, 1, plain))
    plain.file.close()
    assert "samples.png" in plain.export_text().replace("\n", "") and trial_view.UPPER_HALF not in plain.export_text()
    with pytest.raises(UserError, match="no trial 7; it has 2"):
        trial_view.view(book, 7, plain)


def test_a_letter_is_two_pixels(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 4))
    image.putdata([(255, 0, 0), (0, 0, 0), (0, 0, 255), (0, 0, 0), *[(9, 9, 9)] * 4])
    image.save(tmp_path / "a.png")
    text = trial_view.picture((tmp_path / "a.png").read_bytes(), 80)
    assert text.plain == "▀▀\n▀▀\n"
    style = text.spans[0].style
    assert not isinstance(style, str) and style.color and style.bgcolor
    assert (style.color.triplet, style.bgcolor.triplet) == ((255, 0, 0), (0, 0, 255))


def test_sparklines() -> None:
    assert text.sparkline([0.0, 0.5, 1.0], 12) == "▁▅█"
    assert text.sparkline([3.0, None, 3.0], 12) == "▁·▁"
    assert text.sparkline([], 12) == ""
    assert text.sparkline([1.0, 1.0, 2.0, 2.0], 2) == "▁█", "the means of shares where there is no room for all"


def completed(words: str, incomplete: str) -> list[str]:
    """What Tab offers after some words."""
    return [
        one.value
        for one in BashComplete(main, {}, "sweep", "_SWEEP_COMPLETE").get_completions(words.split(), incomplete)
    ]


def test_names_are_completed(bench: Bench) -> None:
    bench.drive(bench.book(trials=2))
    assert completed("run", "eb") == [name for name in studies.names() if name.startswith("eb")] != []
    assert completed("show", "") == completed("ui", "t") == completed("stop", "to") == ["toy"]
    assert completed("show toy", "") == ["0", "1"]
    assert completed("show nobody", "") == []
    assert "--watch" in completed("show toy", "--w")
    assert "compare" in completed("", "com")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_as_a_shell_asks_for_it(folder: Path, shell: str) -> None:
    """The script that a shell reads, and the answer to a Tab: `click` finds the shell by the name of a variable."""
    environment = {**os.environ, "COMP_WORDS": "sweep run eb", "COMP_CWORD": "eb" if shell == "fish" else "2"}
    code = "import sys; sys.argv = ['sweep']; from orchestrator.cli.main import main; main(prog_name='sweep')"

    def said(what: str) -> str:
        more = {**environment, "_SWEEP_COMPLETE": f"{shell}_{what}"}
        return subprocess.run([sys.executable, "-c", code], env=more, capture_output=True, text=True, check=True).stdout

    assert "ebm" in said("complete").replace("\n", " ")
    if shell != "bash":  # for bash, click looks for one on this machine
        assert "_SWEEP_COMPLETE" in said("source")


def test_every_objective_has_its_column(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    book = bench.book(trials=2, pruner="none")
    bench.drive(book)
    two = book.spec.model_copy(update={"objectives": (*book.spec.objectives, ("accuracy", "maximize"))})
    monkeypatch.setattr(book, "spec", two)
    trials = [replace(trial, values=(0.25, 0.875)) for trial in book.trials()]
    monkeypatch.setattr(book, "trials", lambda *states: trials)
    console = Console(width=160, file=open(os.devnull, "w"), record=True)
    console.print(tables.trials(book))
    console.file.close()
    head, *rows = console.export_text().splitlines()
    assert "distance ↓" in head and "accuracy ↑" in head
    assert all(" 0.25 " in row and " 0.875 " in row for row in rows)
    (table,) = report._trials(book).tables
    assert list(table.head[1:5]) == ["outcome", "distance", "accuracy", "time"] and table.rows[0][2:4] == [
        "0.25",
        "0.875",
    ]


def test_a_trial_and_watching_do_not_go_together(bench: Bench) -> None:
    bench.book()
    done = CliRunner().invoke(main, ["show", "toy", "0", "--watch"])
    assert done.exit_code == 2 and "--watch follows a whole sweep" in done.output


def test_a_server_that_fails_is_told_in_its_own_words(folder: Path) -> None:
    failing = server._start([sys.executable, "-c", "print('no such store'); raise SystemExit(3)"], folder, {})
    with failing.output, pytest.raises(UserError, match="a server ended with exit status 3; it said:\nno such store"):
        server._await(failing, "http://127.0.0.1:9")
