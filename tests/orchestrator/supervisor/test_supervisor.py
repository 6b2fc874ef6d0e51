"""The supervisor's promises, on the toy study: totals, seeds, outcomes, interruption."""

import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator import files, text
from orchestrator.errors import UserError
from orchestrator.search import book as books
from orchestrator.search import new_sweep, plan
from orchestrator.search.book import INFEASIBLE, Book
from orchestrator.search.options import request
from orchestrator.supervisor import commands
from orchestrator.supervisor.limits import Limits
from orchestrator.terminal import tables
from tests.support.bench import Bench, resumed, stop_after, stop_in
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT


def test_totals_are_exact_and_running_again_changes_nothing(bench: Bench) -> None:
    reason, _ = bench.drive(bench.book(trials=5))
    assert reason == ""
    first = bench.trials("toy")
    assert [number for number, *_ in first] == [0, 1, 2, 3, 4]
    bench.drive(bench.book(trials=5))
    assert bench.trials("toy") == first


def test_a_higher_total_goes_on_as_one_long_sweep_would(bench: Bench) -> None:
    bench.drive(bench.book(trials=4))
    _, supervisor = bench.drive(resumed(bench.storage, "toy", 9))
    assert sum(supervisor.status.counts.values()) == 9, "those of before are counted"
    bench.drive(bench.book(name="long", trials=9))
    assert bench.trials("toy") == bench.trials("long")
    assert len(bench.trials("toy")) == 9


def test_a_total_below_what_is_finished_is_refused(bench: Bench) -> None:
    bench.drive(bench.book(trials=4))
    with pytest.raises(UserError, match="4 are finished already; give 4 or more"):
        resumed(bench.storage, "toy", 3)


@pytest.mark.parametrize("asked", [1, 7, 12, 20])
def test_an_interrupted_sweep_ends_as_an_uninterrupted_one(bench: Bench, asked: int) -> None:
    """Same trials, same values; the interrupted trial goes on as itself, in its own run, from its checkpoint."""
    reason, supervisor = bench.drive(bench.book(trials=5), stop_after(asked))
    assert reason == "interrupted"
    assert not supervisor.status.running
    book = books.load(bench.storage, "toy")
    left = book.trials_running()
    for trial in left:
        record = bench.record(book, trial.number)
        assert (record.status, record.tags["outcome"]) == ("KILLED", "stopped")
    before = {record.key: record.id for record in bench.store.records.values()}
    bench.drive(resumed(bench.storage, "toy", None))
    assert len(bench.store.records) == 6, "one a trial and the sweep's own, and none anew"
    assert before.items() <= {record.key: record.id for record in bench.store.records.values()}.items()
    bench.drive(bench.book(name="straight", trials=5))
    assert bench.trials("toy") == bench.trials("straight")
    for trial in book.trials():
        steps = [point[:2] for point in bench.record(book, trial.number).points if point[1] == "noise"]
        assert len(steps) == len(set(steps)), "nothing was computed twice"


def test_the_same_seed_gives_the_same_trials_and_another_seed_others(bench: Bench) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        bench.drive(bench.book(name=name, seed=seed))
    assert bench.trials("a") == bench.trials("b")
    assert bench.trials("a")[1:] != bench.trials("c")[1:]
    of_trials = [record for record in bench.store.records.values() if "seed" in record.params]
    assert all(set(one.params) == {"x", "seed", "data"} and "config.json" in one.files for one in of_trials)
    seeds = [record.params["seed"] for record in of_trials]
    assert seeds[:5] == seeds[5:10] and len(set(seeds)) == 10


def test_a_pruning_that_no_worker_heard_of_is_not_forgotten(bench: Bench) -> None:
    """The report that asks for it was answered with the order to leave, and a checkpoint was taken behind it."""
    source = Path(QUADRATIC).read_text()
    Path("rare.py").write_text(
        source.replace("        yield state\n", "        if done > 1:\n            yield state\n", 1)
    )
    spec = plan.resolve(request("rare.py", name="toy", trials=4), bench.storage)
    bench.drive(new_sweep.create(bench.storage, spec))
    book = resumed(bench.storage, "toy", 5)
    book.enqueue({"x": -1.0})
    reported = lambda: len(book.trials()[-1].reports)  # noqa: E731
    bench.drive(book, lambda: "signal" if len(book.trials()) == 5 and reported() == 1 else "")
    assert book.trials()[-1].state == "running" and reported() == 2, "it left behind the second report"
    bench.drive(resumed(bench.storage, "toy", None))
    assert (book.trials()[-1].state, reported()) == ("pruned", 2)
    assert [step for step, key, _ in bench.record(book, 4).points if key == "distance"] == [1, 2]


def test_what_is_held_takes_its_place_in_the_recipe(bench: Bench) -> None:
    source = Path(QUADRATIC).read_text()
    source = source.replace('"x": suggest', '"steps": suggest.suggest_int("steps", 3, 9), "x": suggest')
    Path("two.py").write_text(source.replace("    trials=6,", '    trials=6, first=({}, {"steps": 7}),'))
    spec = plan.resolve(request("two.py", name="held", trials=2, fix=["steps=4"]), bench.storage)
    bench.drive(new_sweep.create(bench.storage, spec))
    (_, recipe, *_), (_, second, *_) = bench.trials("held")
    assert recipe == {"steps": 4, "x": 0.5} and second["steps"] == 4 and second["x"] != 0.5


def test_trial_zero_is_the_recipe(bench: Bench) -> None:
    bench.drive(bench.book(trials=2, set=["steps=2"]))
    assert bench.trials("toy")[0][1] == {"x": 0.5}


@pytest.mark.parametrize(
    ("mode", "state", "status", "outcome"),
    [
        ("good", "complete", "FINISHED", "complete"),
        ("diverge", "pruned", "KILLED", "diverged"),
        ("hungry", "pruned", "KILLED", "out_of_memory"),
        ("crash", "fail", "FAILED", "failed"),
    ],
)
def test_outcomes(bench: Bench, mode: str, state: str, status: str, outcome: str) -> None:
    book = bench.book(trials=2, set=[f"mode={mode}"], pruner="none")
    reason, supervisor = bench.drive(book)
    assert reason == "" and supervisor.status.counts[outcome] == 2
    constraints = [frozen.constraints for frozen in book.optuna_study.trials]
    for trial in book.trials():
        assert trial.state == state
        assert trial.outcome == outcome
        assert (constraints[trial.number][INFEASIBLE] > 0) == (outcome in ("diverged", "out_of_memory"))
        run = bench.record(book, trial.number)
        assert (run.status, run.tags["outcome"]) == (status, outcome)
        if outcome == "diverged":
            assert trial.reason == run.tags["reason"] == "runaway"
        if outcome == "failed":
            assert "RuntimeError: it was told to" in run.description


def test_the_sampler_learns_from_divergence(bench: Bench) -> None:
    """Where one half of the space diverges, trials that a model chose go there less than chance would."""
    lost = 0
    for seed in range(4):
        book = bench.book(name=f"left{seed}", seed=seed, trials=26, set=["mode=left", "steps=2"], pruner="none")
        bench.drive(book)
        lost += sum(trial.outcome == "diverged" for trial in book.trials() if trial.number >= 6)
    # By chance it would be half of 80: 40, with a standard deviation of 4.5. Three below:
    assert lost < 40 - 3 * 4.5


def test_bad_trials_are_pruned_and_their_last_value_is_kept(bench: Bench) -> None:
    book = bench.book(trials=12)
    bench.drive(book)
    pruned = [trial for trial in book.trials() if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        assert 2 <= len(trial.reports) < 5, "the first report is too early to judge by"
        assert bench.record(book, trial.number).status == "KILLED"


def test_the_run_of_a_new_trial_is_kept_in_the_book(bench: Bench) -> None:
    """Its folder may be removed; the book outlives it."""
    book = bench.book(trials=2)
    with bench.supervisor(book) as supervisor:

        def let_records_begin() -> str:
            end = time.monotonic() + LIMIT
            while any(trial.pending.run is None for trial in supervisor.status.running.values()):
                if not supervisor.runs.empty() or time.monotonic() > end:
                    break
                time.sleep(0.01)
            return ""

        supervisor.drive(None, let_records_begin)
    assert [trial.run for trial in book.trials()] == [bench.record(book, number).id for number in (0, 1)]


def test_a_trial_that_takes_too_long_keeps_its_last_value(bench: Bench) -> None:
    book = bench.book(trials=1, set=["seconds=0.02", "steps=1000000"])
    _, supervisor = bench.drive(book, limits=Limits(checkpoint=1e9, silence=None, trial=1.5))
    ((number, end),) = supervisor.status.ended
    values = [value for _, key, value in bench.record(book, number).points if key == "distance"]
    assert (end.outcome, end.reason) == ("failed", "TrialTimeout") and end.values == (values[-1],)
    assert f"**distance {text.short(values[-1])}**" in bench.record(book, number).description


def test_a_supervisor_that_stands_still_while_it_looks_takes_no_worker_for_hung(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it is suspended, or its database waits, between the look at the clock and the look at the workers."""
    pending, looks = commands.pending, iter(range(10**9))

    def slow(book: Book) -> dict[str, Any]:
        time.sleep(3 if next(looks) == 1 else 0)
        return pending(book)

    monkeypatch.setattr(commands, "pending", slow)
    book = bench.book(trials=1, set=["seconds=0.05", "steps=40"])
    _, supervisor = bench.drive(book, limits=Limits(checkpoint=1e9, silence=2))
    assert next(looks) > 2, "it looked again after it stood still"
    assert supervisor.status.counts["complete"] == 1
    assert not [event for event in supervisor.status.events if "silent" in event]


def test_time_that_is_up_starts_no_trial(bench: Bench) -> None:
    reason, supervisor = bench.drive(bench.book(trials=50, set=["seconds=0.05"], pruner="none"), timeout=0.6)
    assert reason == "timeout"
    assert 1 <= supervisor.status.finished < 50
    assert not books.load(bench.storage, "toy").trials_running()


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "gp", "cmaes"])
def test_every_sampler_reaches_the_total_and_resumes(bench: Bench, sampler: str) -> None:
    bench.drive(bench.book(trials=3, sampler=sampler, pruner="none"))
    book = resumed(bench.storage, "toy", 9)
    bench.drive(book)
    expected = 3 if sampler == "grid" else 9  # the grid of one number has three points
    assert len(book.finished()) == expected == book.total()
    xs = [trial.params["x"] for trial in book.trials()]
    assert len(set(xs)) == len(xs)


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband", "none"])
def test_every_pruner_reaches_the_total(bench: Bench, pruner: str) -> None:
    book = bench.book(trials=8, pruner=pruner)
    bench.drive(book)
    assert len(book.finished()) == 8


def test_the_best_value_so_far_is_a_metric_over_trials(bench: Bench) -> None:
    book = bench.book(trials=6)
    bench.drive(book)
    best = [value for _, key, value in bench.record(book).points if key == "best/distance"]
    assert len(best) == 6 and best == sorted(best, reverse=True)


def test_a_sweep_knows_itself(bench: Bench) -> None:
    bench.drive(bench.book(trials=3, sampler="random", fix=["x=0.25"], set=["steps=3"]))
    spec = books.load(bench.storage, "toy").spec
    assert (spec.study, spec.data, spec.sampler, spec.pruner, spec.trials) == (
        QUADRATIC,
        "digits",
        "random",
        "median",
        3,
    )
    assert spec.fixed == {"x": 0.25} and spec.set == {"steps": 3} and spec.base["steps"] == 3
    assert spec.objectives == [("distance", "minimize")] and len(spec.data_digest) == 64
    assert all(trial.params == {"x": 0.25} for trial in books.load(bench.storage, "toy").trials())


def test_drift_of_the_study_is_refused(bench: Bench, tmp_path: Any) -> None:
    source = Path(QUADRATIC).read_text()
    mine = tmp_path / "mine.py"
    mine.write_text(source)
    spec = plan.resolve(request(str(mine), name="mine", trials=1), bench.storage)
    bench.drive(new_sweep.create(bench.storage, spec))
    mine.write_text(source.replace('"x", -1.0, 1.0', '"x", -2.0, 1.0'))
    with pytest.raises(UserError, match=r"its study has changed since: x -2 … 1 \(was -1 … 1\)"):
        resumed(bench.storage, "mine", None)
    mine.write_text(source.replace("steps: int = Field(5", "steps: int = Field(6"))
    with pytest.raises(UserError, match=r"steps 6 \(was 5\)"):
        resumed(bench.storage, "mine", None)


def test_what_a_study_cannot_work_with_is_refused_before_it_begins_and_before_it_goes_on(
    bench: Bench, tmp_path: Any
) -> None:
    """Where a file of the user's is gone, the sweep is still shown."""
    mine, weights = tmp_path / "mine.py", tmp_path / "weights"
    check = f"""
    def needs(config, data):
        from pathlib import Path

        if not Path({str(weights)!r}).exists():
            raise ValueError(f"x={{config.x}} on {{data.name}}: no weights; bring some")

    """
    study = "STUDY = Study("
    mine.write_text(Path(QUADRATIC).read_text().replace(study, f"{textwrap.dedent(check)}{study}check=needs,"))
    options = request(str(mine), name="mine", trials=1)
    with pytest.raises(UserError, match=r"^x=0\.5 on digits: no weights; bring some$"):
        plan.resolve(options, bench.storage)
    weights.touch()
    bench.drive(new_sweep.create(bench.storage, plan.resolve(options, bench.storage)))
    weights.unlink()
    with pytest.raises(UserError, match="^sweep 'mine' cannot go on: x=.* no weights; bring some$"):
        resumed(bench.storage, "mine", 2)
    assert tables.trials(books.load(bench.storage, "mine")).row_count == 1
    weights.touch()
    resumed(bench.storage, "mine", 2)


def test_a_name_with_other_settings_is_refused(bench: Bench) -> None:
    bench.drive(bench.book(trials=1))
    with pytest.raises(UserError, match=r"exists with other settings: seed 5 \(was 0\); choose another --name"):
        bench.book(trials=1, seed=5)


@pytest.mark.parametrize("asked", [None, 3, 9])
def test_deterministic_sweeps_are_interrupted_without_a_trace(bench: Bench, asked: int | None) -> None:
    book = bench.book(trials=7, deterministic=True)
    if asked is not None:
        bench.drive(book, stop_after(asked))
        book = resumed(bench.storage, "toy", None)
    bench.drive(book)
    bench.drive(bench.book(name="straight", trials=7, deterministic=True))
    assert bench.trials("toy") == bench.trials("straight")
    assert len(book.finished()) == 7


def test_a_sweep_whose_study_or_data_are_gone_is_still_shown_and_says_why_it_cannot_go_on(
    bench: Bench, tmp_path: Any
) -> None:
    import numpy as np

    mine, data = tmp_path / "mine.py", tmp_path / "mine.npz"
    mine.write_text(Path(QUADRATIC).read_text())
    images, labels = np.zeros((30, 8, 8), np.uint8), np.arange(30) % 2
    images[:] = np.arange(30)[:, None, None]
    np.savez(data, x_train=images, y_train=labels, x_test=images, y_test=labels)
    spec = plan.resolve(request(str(mine), name="mine", trials=1, data=f"npz:{data}"), bench.storage)
    bench.drive(new_sweep.create(bench.storage, spec))
    np.savez(data, x_train=images + 1, y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(UserError, match="its data .* have changed since"):
        resumed(bench.storage, "mine", 2)
    data.unlink()
    with pytest.raises(UserError, match="cannot go on: .*mine.npz"):
        resumed(bench.storage, "mine", 2)
    mine.unlink()
    with pytest.raises(UserError, match="its study cannot be used: there is no file"):
        resumed(bench.storage, "mine", 2)
    assert tables.trials(books.load(bench.storage, "mine")).row_count == 1
    assert tables.sweeps([books.load(bench.storage, "mine")]).row_count == 1


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Any) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written to"):
        files.writable(str(tmp_path / "file" / "below"))


def drifted(bench: Bench, tmp_path: Any, old: str, new: str) -> Any:
    """A sweep of two trials and one that was interrupted, whose study has changed since."""
    mine = tmp_path / "mine.py"
    source = Path(QUADRATIC).read_text()
    mine.write_text(source)
    spec = plan.resolve(request(str(mine), name="mine", trials=4, pruner="none"), bench.storage)
    book = new_sweep.create(bench.storage, spec)
    bench.drive(book, stop_in(book, trial=2))
    assert old in source and len(book.trials_running()) == 1
    mine.write_text(source.replace(old, new))
    return book


def test_an_accepted_drift_is_kept_and_trials_that_began_before_keep_their_settings(
    bench: Bench, tmp_path: Any
) -> None:
    book = drifted(bench, tmp_path, "steps: int = Field(5", "steps: int = Field(7")
    began = len(book.trials())
    with pytest.raises(UserError, match=r"steps 7 \(was 5\); start a new sweep, or say --accept-drift"):
        resumed(bench.storage, "mine", None)
    again = resumed(bench.storage, "mine", None, accept_drift=True)
    assert [(drift.before, drift.what) for drift in again.spec.drifts] == [(began, "steps 7 (was 5)")]
    bench.drive(again)
    lengths = [max(step for step, key, _ in bench.record(again, n).points if key == "noise") for n in range(4)]
    assert lengths == [5] * began + [7] * (4 - began)
    assert [again.config(trial).steps for trial in again.trials()] == lengths
    resumed(bench.storage, "mine", None)  # what was accepted is no drift any more


def test_a_range_may_drift_but_what_trials_are_compared_by_may_not(bench: Bench, tmp_path: Any) -> None:
    drifted(bench, tmp_path, '"x", -1.0, 1.0', '"x", 0.0, 1.0')
    again = resumed(bench.storage, "mine", 8, accept_drift=True)
    bench.drive(again)
    assert len(again.finished()) == 8 and all(trial.params["x"] >= 0 for trial in again.trials()[4:])
    mine = Path(again.spec.study)
    mine.write_text(mine.read_text().replace('Objective("distance")', 'Objective("noise")'))
    with pytest.raises(UserError, match="cannot go on even so, .* objectives"):
        resumed(bench.storage, "mine", 9, accept_drift=True)
