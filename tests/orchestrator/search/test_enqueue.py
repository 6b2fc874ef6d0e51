"""`sweep enqueue` for a sweep that has all of its trials says how the configuration is tried, and that works."""

import re
from pathlib import Path

from click.testing import CliRunner

from orchestrator import sweep
from orchestrator.cli.main import main
from tests.support.paths import QUADRATIC


def test_a_configuration_for_a_finished_sweep_is_tried_by_the_command_that_is_named(folder: Path) -> None:
    sweep.run(QUADRATIC, name="toy", trials=2, workers=0, set={"steps": 3}, quiet=True)
    for wanted in (3, 4):
        done = CliRunner().invoke(main, ["enqueue", "toy", f"x=0.{wanted}"])
        (line,) = re.findall(r"its total is 2 trials, so raise that: .* (resume toy --trials \d)\n", done.output)
        assert line.endswith(str(wanted))
    done = CliRunner().invoke(main, [*line.split(), "--workers", "0"])
    assert done.exit_code == 0, done.output
    assert list(sweep.load("toy").trials["x"])[2:] == [0.3, 0.4]


def test_a_point_that_a_trial_has_tried_is_said(folder: Path) -> None:
    sweep.run(QUADRATIC, name="toy", trials=3, workers=0, sampler="grid", set={"steps": 3}, quiet=True)
    number = list(sweep.load("toy").trials["x"]).index(0.0)
    done = CliRunner().invoke(main, ["enqueue", "toy", "x=0"])
    assert f"toy: trial {number} has tried this already; it is tried first when" in done.output
    twice = CliRunner().invoke(main, ["enqueue", "toy", "x=0.1,x=0.2"])
    assert twice.exit_code == 2 and "x=0.2: x has a value already, 0.1; give one" in twice.output
    assert "already" not in CliRunner().invoke(main, ["enqueue", "toy", "x=0.1"]).output
