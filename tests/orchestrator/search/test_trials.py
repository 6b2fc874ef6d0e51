"""Every reader of a sweep tells the same outcome of a trial, whoever told Optuna of it and with whichever attributes."""

import io
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from rich.console import Console

from orchestrator import sweep
from orchestrator.analysis import comparison
from orchestrator.reports import findings
from orchestrator.reports import sweep as report
from orchestrator.search.book import Book
from orchestrator.search.trials import ARM, REPLICATE
from orchestrator.terminal import as_json, tables, trial_view
from orchestrator.tracking import descriptions, publish
from tests.support.bench import Bench

WAITING, RUNNING, COMPLETE, PRUNED, FAIL = (
    TrialState.WAITING,
    TrialState.RUNNING,
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAIL,
)
OURS: dict[str, Any] = {"outcome": "complete", "seconds": 3.5, "run": "abcdef0123", "deaths": [{"at": 2, "how": "x"}]}
# What Optuna holds of a trial, and the outcome that every reader must tell.
CASES: list[tuple[TrialState, dict[str, Any], str]] = [
    (COMPLETE, OURS, "complete"),
    (COMPLETE, {}, "complete"),  # told by Optuna's own API
    (COMPLETE, {"outcome": "complete"}, "complete"),  # of a version that kept less
    (COMPLETE, {"outcome": "failed", "reason": "Died"}, "complete"),  # told anew by Optuna's own API
    (COMPLETE, {"enqueued": True}, "complete"),
    (PRUNED, {"outcome": "pruned", "seconds": 1.0}, "pruned"),
    (PRUNED, {"outcome": "diverged", "reason": "runaway", "detail": "at step 3"}, "diverged"),
    (PRUNED, {"outcome": "out_of_memory", "reason": "KilledForMemory", "detail": "none left"}, "out_of_memory"),
    (PRUNED, {}, "pruned"),
    (PRUNED, {"outcome": "complete"}, "pruned"),  # the supervisor died between the two, and Optuna was told by hand
    (PRUNED, {"outcome": "something of a later version"}, "pruned"),
    (FAIL, {"outcome": "failed", "reason": "RuntimeError", "detail": "Traceback\nRuntimeError: no"}, "failed"),
    (FAIL, {"outcome": "diverged", "reason": "runaway"}, "diverged"),
    (FAIL, {}, "failed"),
    (FAIL, {"outcome": "complete"}, "failed"),  # Optuna does not take NaN as a value
    (FAIL, {"outcome": "stopped"}, "failed"),
    (RUNNING, {}, "stopped"),  # nobody drives the sweep
    (RUNNING, {"run": "abcdef0123", "deaths": [{"at": 2, "how": "x"}]}, "stopped"),
    (RUNNING, {"outcome": "complete", "seconds": 2.0}, "stopped"),  # the supervisor died before it told Optuna
    (WAITING, {}, "waiting"),
    (WAITING, {"enqueued": True}, "waiting"),
]
EXPECTED = {number: outcome for number, (_, _, outcome) in enumerate(CASES)}
ENDED = {number: outcome for number, outcome in EXPECTED.items() if CASES[number][0].is_finished()}


def add(book: Book, state: TrialState, attributes: dict[str, Any], **settings: Any) -> None:
    """A trial as Optuna keeps it, without any word of a supervisor's but these attributes."""
    number = len(book.trials())
    trial = optuna.trial.create_trial(
        state=state,
        value=0.1 + number if state is COMPLETE else None,
        params=settings or {"x": 0.5},
        distributions={name: FloatDistribution(-1.0, 1.0) for name in settings or {"x": 0.5}},
        user_attrs=attributes,
    )
    trial.datetime_start = None if state is WAITING else datetime(2026, 1, 1, 10, number)
    trial.datetime_complete = datetime(2026, 1, 1, 11, number) if state.is_finished() else None
    book.optuna_study.add_trial(trial)


@pytest.fixture
def book(bench: Bench) -> Book:
    """A sweep with a trial for each of CASES."""
    book = bench.book(trials=len(CASES))
    for state, attributes, _ in CASES:
        add(book, state, attributes)
    return book


def counts(outcomes: dict[int, str]) -> Counter[str]:
    return Counter(outcome.replace("_", " ") for outcome in outcomes.values())


# ---- readers that tell each trial's outcome --------------------------------------------------------------------------


def in_table(book: Book) -> dict[int, str]:
    columns = {str(column.header): list(column.cells) for column in tables.trials(book).columns}
    texts = [str(cell).partition(":")[0].partition(" (")[0] for cell in columns["outcome"]]
    return dict(zip(map(int, columns["trial"]), texts, strict=True))


def in_trial_view(book: Book) -> dict[int, str]:
    outcomes = {}
    for number in range(len(CASES)):
        console = Console(file=io.StringIO(), width=200)
        console.print(trial_view.view(book, number, console))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        outcomes[number] = text.splitlines()[0].partition(": ")[2]
    return outcomes


def in_json(book: Book) -> dict[int, str]:
    return {trial.number: as_json.trial(book, trial)["outcome"] for trial in book.trials()}


def in_report(book: Book) -> dict[int, str]:
    (table,) = report._trials(book).tables
    return {int(row[0]): row[1] for row in table.rows}


def in_data_frame(book: Book) -> dict[int, str]:
    return dict(sweep.load(book.spec.name).trials["outcome"])


@pytest.mark.parametrize("reader", [in_table, in_trial_view, in_json, in_report, in_data_frame])
def test_readers_agree_on_the_outcome_of_every_trial(book: Book, reader: Callable[[Book], dict[int, str]]) -> None:
    assert reader(book) == EXPECTED


def test_the_file_of_trials_in_mlflow_tells_the_same_of_those_that_ended(book: Book) -> None:
    rows = [line.split(",") for line in publish._table(book).decode().splitlines()[1:]]
    assert {int(row[0]): row[1] for row in rows} == ENDED


# ---- readers that count them -----------------------------------------------------------------------------------------


def live_counts(book: Book) -> Counter[str]:
    with Bench().supervisor(book) as supervisor:
        return Counter({name.replace("_", " "): n for name, n in supervisor.status.counts.items() if n})


def on_the_page_in_mlflow(book: Book) -> Counter[str]:
    (line,) = [line for line in descriptions.sweep(book, "").splitlines() if "trials finished" in line]
    pairs = [pair.partition(" ") for pair in line.partition(": ")[2].rstrip(".").split(", ")]
    return Counter({name: int(n) for n, _, name in pairs})


def in_the_report_of_failures(book: Book) -> Counter[str]:
    first = findings.failures(book)[0].partition(": ")[2].rstrip(".")
    return Counter({name: int(n) for n, _, name in (pair.partition(" ") for pair in first.split(", "))})


@pytest.mark.parametrize("reader", [live_counts, on_the_page_in_mlflow, in_the_report_of_failures])
def test_readers_agree_on_how_many_trials_ended_how(book: Book, reader: Callable[[Book], Counter[str]]) -> None:
    assert reader(book) == counts(ENDED)


def test_a_comparison_tells_the_same(bench: Bench) -> None:
    book = bench.book(trials=None, vary=["x=0.5,0.9"], seeds=20)
    for number, (state, attributes, _) in enumerate(CASES):
        add(book, state, attributes | {ARM: number % 2, REPLICATE: number // 2}, x=0.9 if number % 2 else 0.5)
    trials = comparison.compared(book)
    assert {one.trial.number: one.trial.outcome for one in trials} == ENDED
    assert book.spec.comparison is not None
    result = comparison.result(book.spec.comparison, trials, *book.spec.objectives[0])
    completed = sum(round(arm.completed.mean * arm.trials) for arm in result.arms)
    assert completed == list(ENDED.values()).count("complete")
    endings = sum((Counter(arm.endings) for arm in result.arms), Counter[str]())
    assert endings == {"pruned": 4, "failed": 3, "runaway": 2, "RuntimeError": 1, "KilledForMemory": 1}


def test_a_trial_of_a_comparison_that_names_no_arm_is_left_out(bench: Bench) -> None:
    """Optuna's own API knows no arms."""
    book = bench.book(trials=None, vary=["x=0.5,0.9"], seeds=3)
    add(book, COMPLETE, {}, x=0.5)
    assert comparison.compared(book) == [] and book.total() == 6


# ---- what a trial holds ----------------------------------------------------------------------------------------------


def test_a_trial_holds_what_optuna_and_the_supervisor_know_of_it(bench: Bench) -> None:
    book = bench.book(trials=3)
    attributes = {"outcome": "diverged", "reason": "runaway", "detail": "at 3", "seconds": 3.5, "run": "abc"}
    frozen = optuna.trial.create_trial(
        state=PRUNED,
        params={"x": 0.25},
        distributions={"x": FloatDistribution(0.1, 1.0, log=True)},
        intermediate_values={2: 5.0, 1: 7.0},
        user_attrs=attributes | {"deaths": [{"at": 4, "how": "SIGKILL"}], "arm": 1, "replicate": 2},
    )
    book.optuna_study.add_trial(frozen)
    (trial,) = book.trials()
    assert (trial.number, trial.state, trial.outcome, trial.finished) == (0, "pruned", "diverged", True)
    assert (trial.reason, trial.detail, trial.seconds, trial.run) == ("runaway", "at 3", 3.5, "abc")
    assert trial.params == {"x": 0.25} and trial.reports == {1: 7.0, 2: 5.0} and trial.course == [7.0, 5.0]
    assert [(death.at, death.how) for death in trial.deaths] == [(4, "SIGKILL")]
    assert (trial.arm, trial.replicate, trial.enqueued) == (1, 2, False)
    parameter = trial.space["x"]
    assert (parameter.kind, parameter.low, parameter.high, parameter.log) == ("float", 0.1, 1.0, True)


def test_an_older_trial_lacks_what_was_not_kept_then(bench: Bench) -> None:
    book = bench.book(trials=3)
    add(book, COMPLETE, {})
    (trial,) = book.trials()
    assert (trial.reason, trial.detail, trial.seconds, trial.deaths, trial.run) == ("", "", None, (), "")
    assert (trial.arm, trial.replicate, trial.value) == (None, None, 0.1)
