"""Options are declared once: a new one is an entry of a table, which the command line and the Python API read."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from orchestrator import sweep
from orchestrator.cli.main import main
from orchestrator.errors import UserError
from orchestrator.search.options import request
from orchestrator.supervisor.limits import Limits
from orchestrator.supervisor.machine import machine
from tests.support.bench import Bench
from tests.support.paths import QUADRATIC
from tests.support.processes import environment

ENTRY = """
from typing import Annotated

from orchestrator.options import Option
from orchestrator.search.options import AllOptions, SweepOptions

for table in (SweepOptions, AllOptions):
    table.__annotations__["colour"] = Annotated[str, Option("Colour of the curves.", metavar="NAME", default="blue")]
"""


def python(code: str) -> str:
    """What a fresh process prints in which SweepOptions has one entry more."""
    done = subprocess.run([sys.executable, "-c", ENTRY + code], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_option_is_one_entry(folder: Path) -> None:
    """The help has it, the command line and the Python API take it, and it is stored with the sweep and its command."""
    helped = python("from orchestrator.cli.main import main\nmain(['compare', '--help'])")
    assert "--colour NAME" in helped and "Colour of the curves.  [default: blue]" in helped
    stored = "print(spec.options['colour'], spec.command)"
    typed = f"['run', {QUADRATIC!r}, '--colour', 'red', '--trials', '1', '--workers', '0', '--name', 'typed']"
    command = f"from orchestrator.cli.main import main\nmain({typed})"
    assert "1/1 finished" in python(command)
    spec = "from orchestrator import sweep\nspec = sweep.load('typed')._book.spec\n"
    assert python(spec + stored).split()[0] == "red"
    called = f"sweep.run({QUADRATIC!r}, colour='green', trials=1, workers=0, quiet=True)._book.spec"
    said = python(f"from orchestrator import sweep\nspec = {called}\n{stored}")
    assert said.startswith("green ") and said.endswith("--trials 1 --colour green\n")


@pytest.mark.parametrize(("old", "new"), [("--silence", "--heartbeat-timeout"), ("--deaths", "--max-worker-deaths")])
def test_an_old_name_is_understood_and_not_shown(bench: Bench, old: str, new: str) -> None:
    assert old not in CliRunner().invoke(main, ["run", "--help"]).output
    assert new in CliRunner().invoke(main, ["run", "--help"]).output
    offered = BashComplete(main, {}, "sweep", "_SWEEP_COMPLETE").get_completions(["run"], old)
    assert not offered
    for name in (old, new):
        done = CliRunner().invoke(main, ["run", QUADRATIC, name, "-1", "--dry-run"])
        assert done.exit_code == 2 and f"Invalid value for '{new}'" in done.output
        assert CliRunner().invoke(main, ["run", QUADRATIC, name, "7", "--dry-run"]).exit_code == 0


def test_a_machine_has_the_limits_that_its_options_say(bench: Bench) -> None:
    spec = bench.book().spec
    assert machine(spec, {}).limits == Limits() and machine(spec, {}).launcher == "local"
    limits = machine(spec, {"heartbeat_timeout": 0, "max_worker_deaths": 5, "trial_timeout": 9.0}).limits
    assert limits == Limits(silence=None, deaths=5, trial=9.0)
    inline = machine(spec, {"workers": 0})
    assert (inline.launcher, inline.resources.slots) == ("inline", 1)
    assert machine(spec, {"workers": 2, "launcher": "inline"}).resources.slots == 2
    assert machine(spec, {"timeout": 9.0}).share(3).timeout == 3.0


def test_an_option_that_is_empty_or_has_its_default_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEP_DATA", raising=False)
    empty = request("ebm", name="", trials=None, set=[], seed=0, sampler="tpe", data_folder="data")
    assert empty.given == {} and empty.command.endswith(" run ebm")
    assert empty.options["seed"] == 0 and empty.options["trials"] is None
    monkeypatch.setenv("SWEEP_DATA", "elsewhere")
    assert empty.options["data_folder"] == "data", "it is kept"
    assert request("ebm").options["data_folder"] == "elsewhere"
    assert request("ebm", data_folder="data").given == {"data_folder": "data"}


def test_pairs_are_texts_or_values() -> None:
    texts = request("ebm", vary=["start=noise,replay"], set=["width=8", "label=none"], race=True)
    values = request("ebm", vary={"start": ["noise", "replay"]}, set={"width": 8, "label": None}, race=True)
    assert texts == values
    assert texts.command.endswith(" compare ebm --vary start=noise,replay --race --set width=8 --set label=none")


def test_a_search_from_python_takes_no_options_of_a_comparison() -> None:
    with pytest.raises(UserError, match="vary"):
        sweep.run(QUADRATIC, vary={"x": [0.1, 0.2]})  # type: ignore[call-arg]


def test_numbers_that_nobody_means_are_refused(folder: Path) -> None:
    for option, number in (("--trials", "9" * 20), ("--workers", "9" * 9), ("--trials", "many")):
        done = CliRunner().invoke(main, ["run", QUADRATIC, option, number])
        assert done.exit_code == 2 and f"Invalid value for '{option}': " in done.output, done.output
    assert "'many' is not a valid whole number." in done.output and not list(Path().iterdir())
