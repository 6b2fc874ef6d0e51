"""Comparisons of the toy study: every arm with every seed, through interruptions, and a verdict that can be read."""

import json
import math
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from mlflow import MlflowClient

from orchestrator.analysis import comparison
from orchestrator.errors import UserError
from orchestrator.search import book as books
from orchestrator.search import factorial, steer
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial
from orchestrator.terminal import tables
from tests.support.bench import Bench, resumed, stop_after
from tests.support.cli import sweep
from tests.support.paths import QUADRATIC

VARY = ("x=0.2,0.9", "steps=3,4")


def comparing(bench: Bench, **more: Any) -> Book:
    return bench.book(**{"trials": None, "vary": VARY, "seeds": 3, "set": ["jitter=0.01"], **more})


def test_every_arm_is_played_with_the_same_seeds(bench: Bench) -> None:
    book = comparing(bench)
    bench.drive(book)
    arms: dict[str, list[float]] = {}
    for trial in book.trials():
        noise = [value for _, key, value in bench.record(book, trial.number).points if key == "noise"]
        arms.setdefault(json.dumps(trial.params), []).append(noise[0])
    assert len(arms) == 4 and all(len(seeds) == 3 for seeds in arms.values())
    assert len({tuple(seeds) for seeds in arms.values()}) == 1, "replicates share their seed"
    assert len(set(next(iter(arms.values())))) == 3, "and are no copies of each other"


@pytest.mark.parametrize("asked", [3, 20, 33])
def test_an_interrupted_comparison_ends_as_an_uninterrupted_one(bench: Bench, asked: int) -> None:
    reason, _ = bench.drive(comparing(bench), stop_after(asked))
    assert reason == "interrupted"
    bench.drive(resumed(bench.storage, "toy", None))
    bench.drive(comparing(bench, name="straight"))
    assert bench.trials("toy") == bench.trials("straight")


def test_more_seeds_are_more_trials(bench: Bench) -> None:
    bench.drive(comparing(bench))
    bench.drive(resumed(bench.storage, "toy", 16))
    bench.drive(comparing(bench, name="straight", seeds=4))
    assert bench.trials("toy") == bench.trials("straight") and len(bench.trials("toy")) == 16


def test_a_race_drops_the_worse_arms_and_says_so(bench: Bench) -> None:
    book = comparing(bench, vary=["x=0.2,0.4,0.9"], seeds=6, race=True, set=["jitter=0.01"])
    _, supervisor = bench.drive(book)
    compared = books.load(bench.storage, "toy").spec.comparison
    assert compared is not None
    assert [bool(arm.dropped) for arm in compared.arms] == [False, False, True]
    played = [sum(trial.arm == arm for trial in book.trials()) for arm in range(3)]
    assert played == [6, 6, 3] and supervisor.status.total == 15
    assert any("x=0.9 leaves the race: " in event for event in supervisor.status.events)
    bench.drive(resumed(bench.storage, "toy", None))
    assert len(book.trials()) == 15, "an ended race stays ended"


def test_an_arm_that_diverges_counts_as_such(bench: Bench) -> None:
    book = comparing(bench, vary=["mode=good,diverge"])
    bench.drive(book)
    assert book.spec.comparison is not None
    result = comparison.result(book.spec.comparison, comparison.compared(book), *book.spec.objectives[0])
    assert [arm.completed.mean for arm in result.arms] == [1.0, 0.0] and result.arms[1].endings == {"runaway": 3}
    text = comparison.verdict(result)
    assert "mode=diverge (3 × runaway of 3)" in text and "The best mean distance is" in text


def test_a_single_seed_has_no_interval_and_its_json_no_nan(bench: Bench) -> None:
    book = comparing(bench, vary=["x=0.2,0.9"], seeds=1)
    bench.drive(book)
    assert book.spec.comparison is not None
    result = comparison.result(book.spec.comparison, comparison.compared(book), *book.spec.objectives[0])
    quality = comparison.plain(result)["arms"][0]["quality"]["distance"]
    assert quality == {"mean": pytest.approx(0.21, abs=0.01), "low": None, "high": None, "n": 1}


@pytest.mark.parametrize(
    ("vary", "text"),
    [
        (["x=0.2"], "--vary x=0.2: nothing to compare; write --vary x=VALUE,VALUE"),
        (["y=1,2"], "--vary y: no such setting"),
        (["step=1,2"], "did you mean steps?"),
        (["x=0.2,0.2"], "each setting once, with different values"),
        (["x=0.1,0.2", "x=0.3,0.4"], "each setting once, with different values"),
        (["x=0.2,far"], "--vary x=0.2,far: "),
        (["x=0.2,77"], "--vary x=0.2,77: "),
    ],
)
def test_what_cannot_be_compared_is_refused(bench: Bench, vary: list[str], text: str) -> None:
    with pytest.raises(UserError, match=re.escape(text)):
        comparing(bench, vary=vary)
    with pytest.raises(UserError, match="--set x: it is what is compared"):
        comparing(bench, set=["x=0.5"])


def test_an_arm_beside_the_combinations_is_played_with_their_seeds(bench: Bench) -> None:
    """It has a setting that the others leave as the recipe has it; the tests of settings are of the combinations alone."""
    book = comparing(bench, arm=["x=-0.9,stem=other"])
    bench.drive(book)
    plain = [{"x": x, "steps": steps, "stem": ""} for x in (0.2, 0.9) for steps in (3, 4)]
    arms = [*plain, {"x": -0.9, "steps": 5, "stem": "other"}]
    trials = sorted(book.trials(), key=lambda trial: trial.number)
    assert [trial.params for trial in trials] == arms * 3
    assert book.spec.comparison is not None
    result = comparison.result(book.spec.comparison, comparison.compared(book), *book.spec.objectives[0])
    values = [[trial.values[0] for trial in trials if trial.arm == arm] for arm in range(5)]
    logs = [math.log(a * b / (c * d)) / 2 for a, b, c, d in zip(*values[:4], strict=True)]
    (of_x,) = (contrast for contrast in result.contrasts if contrast.of == "x")
    assert of_x.effect == pytest.approx(math.exp(fmean(logs)))


@pytest.mark.parametrize(
    ("arm", "text"),
    [
        ("x=0.2,steps=3", "two arms are the same, x=0.2 steps=3; leave one --arm out"),
        ("y=1", "--arm y: no such setting"),
        ("x", "--arm x: write each setting once, --arm SETTING=VALUE,SETTING=VALUE"),
        ("x=0.3,x=0.4", "--arm x=0.3,x=0.4: write each setting once"),
        ("x=77", "--arm x=77: "),
    ],
)
def test_an_arm_that_cannot_be_is_refused(bench: Bench, arm: str, text: str) -> None:
    with pytest.raises(UserError, match=re.escape(text)):
        comparing(bench, arm=[arm])
    with pytest.raises(UserError, match="--set jitter: it is what is compared"):
        comparing(bench, arm=["jitter=0.02"], set=["jitter=0.01"])


def test_nothing_can_be_enqueued_to_a_comparison(bench: Bench) -> None:
    with pytest.raises(UserError, match="'toy' is a comparison: its arms are what it tries"):
        steer.configuration(comparing(bench), ["x=0.5"])


@pytest.mark.slow
def test_a_comparison_from_the_command_line(folder: Path) -> None:
    options = ("--seeds", "3", "--set", "jitter=0.01", "--name", "toy", "--workers", "2")
    done = sweep("compare", QUADRATIC, "--vary", VARY[0], "--vary", VARY[1], *options)
    assert done.returncode == 0, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "x=0.2 is better: x=0.2 against x=0.9 has 0." in text
    assert "All 12 trials were completed." in text
    assert not list(folder.glob("*-wal")), "the databases are whole files, to be copied as they are"
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("quadratic").experiment_id])
    by_key = {run.data.tags["sweep.key"]: run for run in runs}
    assert len(runs) == 1 + 4 + 12 and {run.info.status for run in runs} == {"FINISHED"}
    (own,) = [run for key, run in by_key.items() if "/" not in key]
    arms = {run.info.run_id: run for key, run in by_key.items() if "/arm-" in key}
    assert {run.data.tags["mlflow.parentRunId"] for run in arms.values()} == {own.info.run_id}
    of_trials = [run for key, run in by_key.items() if key.rpartition("/")[2].isdigit()]
    for trial in of_trials:
        arm = arms[trial.data.tags["mlflow.parentRunId"]]
        assert arm.data.params.items() <= trial.data.params.items()
    for arm in arms.values():
        low, mean, high = (arm.data.metrics[f"{what}/distance"] for what in ("low", "mean", "high"))
        mine = [
            one.data.metrics["distance"] for one in of_trials if one.data.tags["mlflow.parentRunId"] == arm.info.run_id
        ]
        assert mean == pytest.approx(sum(mine) / 3) and low < mean < high
    assert "x=0.2 is better" in own.data.tags["mlflow.note.content"]
    figures = {file.path for file in client.list_artifacts(own.info.run_id, "figures")}
    assert {"figures/comparison.png", "figures/samples.png"} <= figures
    assert sweep("doctor", "toy").returncode == 0
    shown = sweep("show", "toy").stdout
    assert re.search(r"★ 0 +3/3 +0\.\d+ \(0\.\d+ to 0\.\d+\)", shown) or re.search(r"★ 1 +3/3", shown), shown
    more = sweep("resume", "toy", "--trials", "16")
    assert more.returncode == 0 and "All 16 trials were completed." in " ".join(more.stdout.split())


def test_the_first_objectives_group_and_the_other_objectives_are_looked_up() -> None:
    """Trials are compared by the first; what they paid for it by the others is told beside it."""

    class Store:
        def last(self, run: str) -> dict[str, float]:
            return {"fid/fresh": 2.0, "fid/start": 9.0, "accuracy/validation": 0.9, "accuracy/test": 0.8, "loss": 1.0}

        def history(self, run: str, key: str) -> list[tuple[int, float]]:
            return [(1, 3.0), (2, 2.0)] if key == "fid/fresh" else []

    trial = Trial(0, values=(2.0,), arm=0, replicate=0)
    found = comparison._looked_up(trial, "r", ["fid/fresh", "accuracy/validation"], Store())
    assert found.finals == {"fid/fresh": 2.0, "fid/start": 9.0, "accuracy/validation": 0.9}
    assert found.curve == [(1, 3.0), (2, 2.0)]


def timed(cost: float | None) -> comparison.Result:
    """What two arms of three trials each say, the second of which is worse and slower."""
    compared = [
        comparison.ComparedTrial(
            Trial(2 * seed + arm, values=(1.0 + arm + seed / 10,), arm=arm, replicate=seed),
            {"zeta": 1.0, "alpha": 2.0, "loss": 1.0 + arm},
            [(10 * (1 + arm), 3.0), (20 * (1 + arm), 1.0 + arm)],
            cost,
        )
        for seed in range(3)
        for arm in range(2)
    ]
    return comparison.result(factorial.full({"x": [1, 2]}, False), compared, "loss", "minimize")


def test_arms_are_compared_by_the_first_objective() -> None:
    compared = [
        comparison.ComparedTrial(Trial(i, values=(1.0 + i, 50.0), arm=i % 2, replicate=i // 2), {}, [], None)
        for i in range(4)
    ]
    result = comparison.result(factorial.full({"x": [1, 2]}, False), compared, "loss", "minimize")
    assert [arm.quality["loss"].mean for arm in result.arms] == [2.0, 3.0]


def test_convergence_is_told_in_network_evaluations_where_they_are_counted() -> None:
    result = timed(cost=7.0)
    assert [(arm.reached, arm.updates, arm.evaluations) for arm in result.arms] == [(3, 20, 140.0), (3, 40, 280.0)]
    assert "at a median of 140 network evaluations" in comparison.verdict(result)
    columns = {str(column.header): list(column.cells) for column in tables.arms(result).columns}
    assert columns["at"] == ["140 network evaluations", "280 network evaluations"]


def test_convergence_is_told_in_updates_where_evaluations_are_not_counted() -> None:
    result = timed(cost=None)
    assert [(arm.updates, arm.evaluations) for arm in result.arms] == [(20, None), (40, None)]
    assert "at a median of 20 updates" in comparison.verdict(result)
    columns = {str(column.header): list(column.cells) for column in tables.arms(result).columns}
    assert columns["at"] == ["20 updates", "40 updates"]


def test_the_objective_is_the_first_column_and_other_metrics_follow_by_name() -> None:
    head, rows = comparison.arms(timed(cost=None))
    assert head == ["arm", "completed", "loss", "alpha", "zeta"]
    assert [row[0] for row in rows] == ["x=1", "x=2"] and rows[0][2].startswith("1.1 (") and rows[0][3].startswith("2")
