"""`sweep doctor` and damaged files: what can be made again is mended, the rest is named, and nothing ends in a traceback."""

import json
import os
import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from orchestrator import pictures
from orchestrator.cli.main import main
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.outbox import Outbox, path_of
from orchestrator.layout import MODEL, SAMPLES, WEIGHTS
from orchestrator.tracking import connection
from orchestrator.worker import result
from tests.support.clinic import WHOLE, Clinic, cured, stays

MENDED: dict[str, tuple[Callable[[Clinic], object], str]] = {
    "samples.png cut": (
        lambda clinic: os.truncate(clinic.at(1) / SAMPLES, 60),
        "trial 1: its samples.png is damaged → taken from its run, or else removed",
    ),
    "samples.png empty": (lambda clinic: os.truncate(clinic.at(1) / SAMPLES, 0), "trial 1: its samples.png is damaged"),
    "model.json": (
        lambda clinic: (clinic.at(1) / MODEL).write_text("{nonsense"),
        "trial 1: its model.json is damaged → written",
    ),
    "sent.json": (
        lambda clinic: (clinic.at(1) / "outbox" / "sent.json").write_bytes(b"\xff{"),
        "trial 1: its sent.json is damaged → written anew",
    ),
    "the sweep's sent.json": (
        lambda clinic: (clinic.at() / "outbox" / "sent.json").write_text(""),
        "the sweep: its sent.json is damaged → written anew",
    ),
}


@pytest.mark.parametrize("damage", MENDED)
def test_what_can_be_made_again_is_mended(clinic: Clinic, damage: str) -> None:
    clinic.run()
    run, about = clinic.id(1), json.loads((clinic.at(1) / MODEL).read_text())
    break_it, found = MENDED[damage]
    break_it(clinic)
    cured(clinic, re.escape(found))
    assert pictures.load(clinic.at(1) / SAMPLES) and json.loads((clinic.at(1) / MODEL).read_text()) == about
    assert clinic.id(1) == run


def test_damaged_weights_are_named_and_other_trials_can_still_be_used(clinic: Clinic) -> None:
    clinic.run()
    best = clinic.book.best()[0].number
    other = next(trial.number for trial in clinic.book.finished() if trial.number != best)
    os.truncate(clinic.at(best) / WEIGHTS, 30)
    (found,) = clinic.findings()
    assert re.match(
        rf"trial {best}: its weights.safetensors is damaged \(.*\) → none; put a back-up in its place", found
    )
    done = CliRunner().invoke(main, ["sample", "toy", str(best)])
    assert done.exit_code == 2 and "are damaged (" in done.stderr and "choose another trial" in done.stderr, done.output
    done = CliRunner().invoke(main, ["sample", "toy", str(other)])
    assert done.exit_code == 0, done.output


def test_strange_files_in_an_outbox_are_told_and_left_alone(clinic: Clinic) -> None:
    clinic.run()
    place = clinic.at(1) / "outbox"
    (place / "000001 (copy).jsonl").write_text("{}\n")
    (place / "000007.jsonl").mkdir()
    found = clinic.findings()
    assert len(found) == 2 and all(
        "is no part of its outbox → none; move it away, it is not delivered" in line for line in found
    )
    outbox = Outbox(clinic.at(1))
    outbox.tags({"later": "word"})
    outbox.close()
    assert outbox.segment == 8, "the folder's number is taken"
    assert [line for line in clinic.findings(repair=True) if "· repaired" in line] == [
        "trial 1: entries of its outbox wait for delivery → delivered · repaired"
    ]
    assert clinic.client.get_run(clinic.id(1)).data.tags["later"] == "word"
    assert (place / "000001 (copy).jsonl").exists() and (place / "000007.jsonl").is_dir()


def test_a_damaged_picture_in_an_outbox_does_not_hold_up_the_rest(clinic: Clinic) -> None:
    clinic.run()
    outbox = Outbox(clinic.at(1))
    outbox.picture("samples", 99, b"no picture")
    outbox.tags({"later": "word"})
    outbox.close()
    clinic.doctor(repair=True)
    (found,) = clinic.findings()
    assert "the tracker refused 1 of its entries (the picture samples of step 99 is damaged)" in found
    assert clinic.client.get_run(clinic.id(1)).data.tags["later"] == "word"


def test_a_damaged_ending_is_removed_and_the_trial_goes_on(clinic: Clinic, left: int) -> None:
    (clinic.at(left) / "ended.json").write_text("{nonsense")
    cured(
        clinic,
        f"trial {left}: its ended.json is damaged → removed; it goes on from its checkpoint",
        whole=stays(clinic),
    )
    assert result.load(clinic.at(left)) is None
    clinic.run()
    assert clinic.doctor() == (0, [WHOLE])


@pytest.mark.parametrize(
    "command", [["show", "toy", "1"], ["report", "toy"], ["doctor", "toy"], ["sync", "toy"], ["sample", "toy", "1"]]
)
def test_commands_live_with_files_that_are_no_files(clinic: Clinic, command: list[str]) -> None:
    clinic.run()
    for path in (clinic.at(1) / SAMPLES, clinic.at(1) / WEIGHTS, clinic.at(1) / "outbox" / "sent.json"):
        path.unlink()
        path.mkdir()
    path_of(clinic.at(0) / "outbox", 5).write_bytes(os.urandom(2000))
    for artifact in clinic.artifacts(0).rglob("*.png"):
        artifact.write_bytes(b"\x89PNG")
    done = CliRunner().invoke(main, command)
    assert done.exit_code in (0, 1, 2) and (done.exception is None or isinstance(done.exception, SystemExit)), (
        done.output
    )


def test_a_database_that_is_damaged_though_it_opens_is_named(clinic: Clinic) -> None:
    clinic.run()
    clinic.storage.engine.dispose()
    clinic.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    clinic.sql("CREATE TABLE unused (content)")
    clinic.sql("INSERT INTO unused VALUES (zeroblob(40000))")
    clinic.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    size = os.path.getsize("mlflow.db")
    with open("mlflow.db", "r+b") as file:
        file.seek(size - 4096 * 4)
        file.write(b"\xff" * 4096)
    status, lines = clinic.doctor()
    assert status == 1 and re.search(r"mlflow.db is damaged \(.*\); put a back-up in its place", lines[0]), lines


def test_what_a_deleted_run_did_not_take_is_delivered_when_it_is_restored(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.delete_run(clinic.id(1))
    outbox = Outbox(clinic.at(1))
    outbox.numbers(99, {"late": 0.5})
    outbox.tags({"later": "word"})
    outbox.close()
    store = connection.connect(clinic.book.spec.tracking_uri, "--tracking-uri", "quadratic")
    Delivery(clinic.at(1), store).drain()
    status, lines = clinic.doctor(repair=True)
    assert status == 0 and any("its run was deleted → restored · repaired" in line for line in lines), lines
    assert clinic.doctor() == (0, [WHOLE])
    data = clinic.client.get_run(clinic.id(1)).data
    assert data.metrics["late"] == 0.5 and data.tags["later"] == "word"
