"""The commands `sweep pack` and `sweep unpack`: what they say of a sweep is what the other commands say of it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from tests.support.paths import QUADRATIC


def types(*arguments: str, status: int = 0) -> str:
    """What a command prints, in this process."""
    done = CliRunner().invoke(main, arguments, env={"COLUMNS": "300"})
    assert done.exit_code == status, done.output
    return done.output


def test_a_comparison_that_has_ended_is_the_same_for_pack_unpack_and_doctor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its four trials, two arms and itself have a run each; there is nothing to go on with, but much to look at."""
    Path("first").mkdir()
    Path("second").mkdir()
    monkeypatch.chdir("first")
    types("compare", QUADRATIC, "--name", "arms", "--vary", "steps=2,3", "--seeds", "2", "--workers", "0")
    assert "(4 trials, 7 runs, " in types("pack", "arms")
    assert types("doctor") == "arms: whole (4 trials, 7 runs)\n"
    monkeypatch.chdir("../second")
    (look,) = re.findall(
        "4 of 4 trials finished. Look at it with:  .* (show arms)\n", types("unpack", "../first/arms.zip")
    )
    assert "steps=2" in types(*look.split())
    assert types("doctor") == "arms: whole (4 trials, 7 runs)\n"
    assert "report of arms" in types("report", "arms")


def test_a_sweep_that_has_not_ended_goes_on_by_the_command_that_unpack_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("first").mkdir()
    Path("second").mkdir()
    monkeypatch.chdir("first")
    types("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0")
    types("extend", "toy", "--trials", "2")
    types("pack", "toy")
    monkeypatch.chdir("../second")
    (resume,) = re.findall(
        "1 of 2 trials finished. Go on with:  .* (resume toy)\n", types("unpack", "../first/toy.zip")
    )
    types(*resume.split(), "--workers", "0")
    assert types("doctor") == "toy: whole (2 trials, 3 runs)\n"
