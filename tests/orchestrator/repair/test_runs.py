"""`sweep doctor` repairs what MLflow says: runs, their status, tags, files and numbers."""

import shutil

import pytest

from orchestrator.reports import sweep
from orchestrator.supervisor import closing
from orchestrator.tracking import connection
from orchestrator.tracking.stored_run import KEY
from tests.support.clinic import WHOLE, Clinic, cured, say_later
from tests.support.paths import ROOT

PARENT = "mlflow.parentRunId"
NETWORKS = str(ROOT / "tests" / "toy_studies" / "networks.py")


def test_a_run_that_is_running_though_its_trial_ended(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.update_run(clinic.id(1), status="RUNNING")
    cured(clinic, "trial 1: its run is RUNNING, outcome complete, but it is complete → FINISHED, outcome complete")
    assert clinic.client.get_run(clinic.id(1)).info.end_time


def test_wrong_statuses_and_outcomes(clinic: Clinic) -> None:
    clinic.run()
    ends = [clinic.client.get_run(clinic.id(n)).info.end_time for n in (0, 2)]
    clinic.client.update_run(clinic.id(0), status="KILLED")
    clinic.sql("update runs set end_time=? where run_uuid=?", ends[0], clinic.id(0))
    clinic.client.set_tag(clinic.id(2), "outcome", "diverged")
    cured(
        clinic,
        "trial 0: its run is KILLED, outcome complete, but",
        "trial 2: its run is FINISHED, outcome diverged, but",
    )
    assert [clinic.client.get_run(clinic.id(n)).info.end_time for n in (0, 2)] == ends
    assert clinic.client.get_run(clinic.id(2)).data.tags["outcome"] == "complete"


@pytest.mark.parametrize("mode", ["diverge", "crash"])
def test_other_ends_than_complete(clinic: Clinic, mode: str) -> None:
    clinic.run(set=[f"mode={mode}"])
    status, outcome = {"diverge": ("KILLED", "diverged"), "crash": ("FAILED", "failed")}[mode]
    for number in (0, 1, 2):
        clinic.client.update_run(clinic.id(number), status="FINISHED")
    cured(
        clinic, f"trials 0-2: its run is FINISHED, outcome {outcome}, but it is {outcome} → {status}, outcome {outcome}"
    )


def test_the_sweeps_own_run_is_running(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.set_tag(clinic.id(), "outcome", "running")
    clinic.client.update_run(clinic.id(), status="RUNNING")
    cured(clinic, "the sweep: its run is RUNNING, outcome running, but nobody drives it → FINISHED, outcome complete")


def test_the_sweeps_own_run_has_another_status_than_its_outcome(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.update_run(clinic.id(), status="FAILED")
    cured(clinic, "the sweep: its run is FAILED, outcome complete → FINISHED")


def test_runs_that_were_deleted_are_restored(clinic: Clinic) -> None:
    clinic.run()
    for number in (None, 1):
        clinic.client.delete_run(clinic.id(number))
    before = clinic.id(1)
    cured(clinic, "the sweep, trial 1: its run was deleted → restored")
    assert clinic.id(1) == before and clinic.client.get_run(before).data.metrics["noise"]


def test_an_experiment_that_was_deleted_is_restored(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.delete_experiment(clinic.client.get_run(clinic.id()).info.experiment_id)
    cured(clinic, "the sweep, trials 0-2: its run was deleted → restored")


def test_a_trial_without_a_run_gets_one_from_the_book(clinic: Clinic) -> None:
    clinic.run()
    old = clinic.client.get_run(clinic.id(1))
    config = (clinic.artifacts(1) / "config.json").read_text()
    history = [one.value for one in clinic.client.get_metric_history(clinic.id(1), "distance")]
    clinic.purge(1)
    cured(clinic, "trial 1: it has no run → made again")
    new = clinic.client.get_run(clinic.id(1))
    assert new.info.run_id != old.info.run_id and new.info.status == "FINISHED"
    assert new.info.run_name == old.info.run_name and new.data.params == old.data.params
    same = ("sweep", "study", "trial", "outcome", KEY, PARENT)
    assert [new.data.tags[name] for name in same] == [old.data.tags[name] for name in same]
    assert new.data.tags["remade"] and new.data.tags["host"] == "unknown"
    points = clinic.client.get_metric_history(clinic.id(1), "distance")
    assert [one.value for one in points] == history and [one.step for one in points] == [1, 2, 3, 4, 5]
    assert (clinic.artifacts(1) / "config.json").read_text() == config
    assert any("samples~fresh" in path.name for path in (clinic.artifacts(1) / "images").iterdir())


def test_a_failed_trial_without_a_run_gets_one_with_its_error(clinic: Clinic) -> None:
    clinic.run(set=["mode=crash"])
    clinic.purge(0)
    cured(clinic, "trial 0: it has no run → made again")
    run = clinic.client.get_run(clinic.id(0))
    assert run.info.status == "FAILED" and run.data.tags["reason"] == "RuntimeError"
    assert "it was told to" in run.data.tags["mlflow.note.content"]


def test_a_sweep_without_a_run_gets_one_and_its_trials_are_below_it(clinic: Clinic) -> None:
    clinic.run()
    best = [(one.step, one.value) for one in clinic.client.get_metric_history(clinic.id(), "best/distance")]
    params = clinic.client.get_run(clinic.id()).data.params
    clinic.purge()
    clinic.client.delete_tag(clinic.id(1), PARENT)
    found = clinic.findings()
    assert found == [
        "the sweep: it has no run → made again from Optuna and the trial's files",
        "trial 1: its run is not below the sweep's → put there",
    ]
    assert clinic.doctor(repair=True)[0] == 0
    assert clinic.doctor() == (0, [WHOLE])
    run = clinic.client.get_run(clinic.id())
    assert (
        run.info.status == "FINISHED"
        and run.data.params == params
        and "complete" in run.data.tags["mlflow.note.content"]
    )
    assert [(one.step, one.value) for one in clinic.client.get_metric_history(clinic.id(), "best/distance")] == best
    assert clinic.book.spec.run == run.info.run_id
    assert {clinic.client.get_run(clinic.id(n)).data.tags[PARENT] for n in (0, 1, 2)} == {run.info.run_id}
    assert (clinic.artifacts() / "figures").exists() and (clinic.artifacts() / "best_samples.png").exists()


def test_second_runs_of_one_key_are_deleted_and_the_first_is_kept(clinic: Clinic) -> None:
    clinic.run()
    first, own = clinic.id(1), clinic.id()
    experiment = clinic.client.get_run(own).info.experiment_id
    for start in (1, None):  # older than it, and younger
        made = clinic.client.create_run(experiment, start_time=start, tags={KEY: clinic.key(1)}).info.run_id
        clinic.client.set_terminated(made)
    clinic.client.create_run(experiment, tags={KEY: clinic.key()})
    second = "run [0-9a-f]{8} is a second one of it → deleted; MLflow can restore it"
    cured(clinic, f"the sweep: {second}", f"trial 1: {second}", f"trial 1: {second}")
    assert clinic.id(1) == first and clinic.id() == own
    assert clinic.client.get_run(first).info.lifecycle_stage == "active"


def test_of_runs_that_no_folder_names_the_oldest_is_kept(clinic: Clinic) -> None:
    clinic.run()
    first = clinic.id(2)
    clinic.client.create_run(clinic.client.get_run(first).info.experiment_id, tags={KEY: clinic.key(2)})
    shutil.rmtree(clinic.at(2) / "outbox")
    cured(clinic, "trial 2: run [0-9a-f]{8} is a second one of it")
    assert clinic.client.get_run(first).info.lifecycle_stage == "active"


def test_a_run_of_a_trial_that_does_not_exist_is_deleted(clinic: Clinic) -> None:
    clinic.run()
    made = clinic.client.create_run(clinic.client.get_run(clinic.id()).info.experiment_id, tags={KEY: clinic.key(77)})
    cured(clinic, "the sweep: run [0-9a-f]{8} is of a trial 77, which there is not → deleted")
    assert clinic.client.get_run(made.info.run_id).info.lifecycle_stage == "deleted"


def test_tags_that_were_lost_are_set(clinic: Clinic) -> None:
    clinic.run()
    for number in (None, 0):
        clinic.client.delete_tag(clinic.id(number), KEY)
    clinic.client.delete_tag(clinic.id(1), PARENT)
    cured(
        clinic,
        f"the sweep, trial 0: its run has lost the tag {KEY} → set",
        "trial 1: its run is not below the sweep's → put there",
    )


def test_files_that_are_missing_are_made_again(clinic: Clinic) -> None:
    clinic.run()
    config = (clinic.artifacts(0) / "config.json").read_text()
    (clinic.artifacts(0) / "config.json").unlink()
    shutil.rmtree(clinic.artifacts(1) / "images")
    shutil.rmtree(clinic.artifacts() / "figures")
    cured(
        clinic,
        "the sweep: its run lacks figures → drawn again",
        "trial 0: its run lacks config.json → made again",
        "trial 1: its run lacks pictures → made again",
    )
    assert (clinic.artifacts(0) / "config.json").read_text() == config
    assert clinic.client.get_run(clinic.id()).info.status == "FINISHED"


def test_pictures_that_cannot_be_made_again_are_told(clinic: Clinic) -> None:
    clinic.run()
    shutil.rmtree(clinic.artifacts(1) / "images")
    (clinic.at(1) / "samples.png").unlink()
    (found,) = clinic.findings()
    assert found.startswith("trial 1: its run has lost its pictures → none")
    assert clinic.findings(repair=True) == [f"{found} · not repaired"]


def test_numbers_that_are_missing_come_from_the_book(clinic: Clinic) -> None:
    clinic.run()
    value = clinic.client.get_run(clinic.id(1)).data.metrics["distance"]
    for table in ("metrics", "latest_metrics"):
        clinic.sql(f"delete from {table} where run_uuid=? and key='distance'", clinic.id(1))
    cured(clinic, "trial 1: its run lacks distance → made again")
    assert clinic.client.get_run(clinic.id(1)).data.metrics["distance"] == value


def test_runs_of_a_removed_sweep_are_no_fault_of_its_namesake(clinic: Clinic) -> None:
    from orchestrator.repair import removal

    clinic.run()
    removal.remove(clinic.book, keep_runs=True)
    clinic.run()
    status, lines = clinic.doctor(repair=True)
    assert (
        status == 0 and lines[0] == WHOLE and lines[1].startswith("toy: 4 runs are of another sweep that had this name")
    )


def test_a_tracker_that_is_away_hides_nothing_of_the_rest(clinic: Clinic) -> None:
    clinic.run()
    (clinic.at(1) / "ended.json").touch()
    say_later(clinic, 2)
    here = clinic.book.spec.tracking_uri
    clinic.book.update(tracking_uri="http://127.0.0.1:9")
    found = clinic.findings()
    assert [line.partition(" → ")[0][:60] for line in found] == [
        "trial 1: files are left that it does not need (ended.json)",
        "the sweep: MLflow cannot be looked at: --tracking-uri=http:/",
        "trial 2: entries of its outbox wait for delivery",
    ]
    repaired = clinic.findings(repair=True)
    assert [line.endswith("· repaired") for line in repaired] == [True, False, False]
    clinic.book.update(tracking_uri=here)
    cured(clinic, "trial 2: entries of its outbox wait for delivery → delivered")


def test_trials_that_different_judges_scored_are_told(clinic: Clinic) -> None:
    clinic.run()
    for number in range(3):
        clinic.client.set_tag(clinic.id(number), "judge/hash", "a58e82db0a5e89f1")
    assert clinic.doctor() == (0, [WHOLE])
    clinic.client.set_tag(clinic.id(1), "judge/hash", "2356c48ab23c6487")
    split = (
        "2 judges scored its trials, whose values do not compare (a58e82db scored trials 0, 2; 2356c48a scored trial 1)"
    )
    assert clinic.findings() == [f"the sweep: {split} → none; compare only trials of one judge, or start a new sweep"]
    assert split in sweep.write(clinic.book)
    store = connection.connect(clinic.book.spec.tracking_uri, "--tracking-uri", "quadratic")
    assert split in closing.complete(clinic.book, store).remarks


def test_a_champion_that_was_deleted_in_mlflow_is_registered_again(clinic: Clinic) -> None:
    clinic.run(study=NETWORKS, trials=2)
    whole = "toy: whole (2 trials, 3 runs)"
    clinic.client.delete_registered_model("toy")
    cured(clinic, "the sweep: its champion is no model of MLflow any more → registered", whole=whole)
    best = clinic.id(clinic.book.best()[0].number)
    assert clinic.client.get_model_version_by_alias("toy", "champion").run_id == best
