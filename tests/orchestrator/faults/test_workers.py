"""A worker dies: its trial goes on as itself, or has failed, and the sweep goes on."""

import pytest

from tests.support.faults import EVERY, GATED, HALF, STEP, STEPS, computed_twice, servers_long
from tests.support.place import Place
from tests.support.processes import kill

pytestmark = pytest.mark.slow


def test_a_killed_worker_is_followed_by_another_and_the_trial_goes_on_as_itself(place: Place) -> None:
    process = place.start(*place.run("--trials", "3", *EVERY, **GATED))
    process.wait_for(place.computed(2, step=HALF))
    before = place.workers()
    runs = {name: run.info.run_id for name, run in place.runs().items()}
    kill(before[0])
    process.wait_for(lambda: place.workers().get(0, before[0]) != before[0])
    place.open_gate()
    assert process.finish().returncode == 0, process.output
    assert "trial 0 goes on from step" in process.stdout and "SIGKILL" in process.stdout
    place.check(3, STEPS)
    assert runs.items() <= {name: run.info.run_id for name, run in place.runs().items()}.items()
    assert [len(trial.user_attrs.get("deaths", [])) for trial in place.trials()] == [1, 0, 0]
    assert place.runs()["trial 0"].data.tags["deaths"] == "1"
    assert computed_twice(place) <= 0.5 / STEP + 2, "no more than a checkpoint's interval"


@servers_long
@pytest.mark.parametrize(("mode", "allowed", "deaths"), [("broken", 3, 3), ("broken", 5, 5), ("killed", 3, 12)])
def test_after_three_deaths_at_one_place_a_trial_has_failed_and_the_sweep_goes_on(
    place: Place, mode: str, allowed: int, deaths: int
) -> None:
    """Three, or as many as are allowed; kills, which come from outside, count a quarter."""
    limit = ["--checkpoint-every", "3600"]  # so every worker dies at step 0
    limit += [] if allowed == 3 else ["--deaths", str(allowed)]
    done = place.sweep(*place.run("--trials", "2", *EVERY, *limit, mode=mode, steps=5, journal="journal"))
    assert done.returncode == 1, done.stderr
    assert "no trial was completed" in done.stdout
    place.check(2, 5, failed=2)
    for trial in place.trials():
        assert trial.user_attrs["reason"] == "Died"
        name = "SIGKILL" if mode == "killed" else "SIGSEGV"
        assert f"{deaths} times at step 0" in trial.user_attrs["detail"] and name in trial.user_attrs["detail"]
        assert name in place.runs()[f"trial {trial.number}"].data.tags["mlflow.note.content"]


@servers_long
def test_a_death_in_every_trial_costs_none(place: Place) -> None:
    stem = f"{place.folder}/once-"
    done = place.sweep(*place.run("--trials", "4", *EVERY, mode="killed_once", stem=stem, steps=5, journal="journal"))
    assert done.returncode == 0, done.stderr
    place.check(4, 5)


@servers_long
def test_a_trainer_without_memory_is_an_outcome_and_the_next_trial_is_clean(place: Place) -> None:
    done = place.sweep(*place.run("--trials", "2", *EVERY, mode="hungry", steps=5))
    assert done.returncode == 1, done.stderr
    outcomes = [(trial.user_attrs["outcome"], trial.state.name) for trial in place.trials()]
    assert outcomes == [("out_of_memory", "PRUNED")] * 2
    assert all(trial.constraints["infeasible"] > 0 for trial in place.trials())
    assert place.runs()["trial 1"].data.tags["reason"] == "RuntimeError"
