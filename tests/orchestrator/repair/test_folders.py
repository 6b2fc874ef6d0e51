"""`sweep doctor` repairs what the folders say: outboxes, leftovers, missing folders."""

import re
import shutil

from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.outbox import Outbox, path_of
from orchestrator.layout import MODEL, WEIGHTS
from tests.support.clinic import Clinic, cured


def test_outboxes_are_delivered_and_what_they_say_is_no_finding(clinic: Clinic) -> None:
    """A run that will be right when its outbox is delivered is not wrong."""
    clinic.run()
    clinic.client.update_run(clinic.id(1), status="RUNNING")
    (clinic.artifacts(1) / "config.json").unlink()
    outbox = Outbox(clinic.at(1))
    outbox.content("config.json", b"{}")
    outbox.end("FINISHED", {"outcome": "complete"})
    cured(clinic, "trial 1: entries of its outbox wait for delivery → delivered")
    assert not list(clinic.at(1).glob("outbox/*.jsonl"))


def test_half_a_line_is_dropped(clinic: Clinic) -> None:
    clinic.run()
    path_of(clinic.at(1) / "outbox", 99).write_bytes(b'{"do": "numb')
    cured(clinic, "trial 1: its outbox ends in half a line → dropped")


def test_what_was_refused_is_told_and_stays(clinic: Clinic) -> None:
    from orchestrator.tracking import connection

    clinic.run()
    outbox = Outbox(clinic.at(1))
    outbox.numbers(2**63, {"loss": 1.0})
    outbox.close()
    Delivery(clinic.at(1), connection.connect(clinic.book.spec.tracking_uri, "", "quadratic")).drain()
    (found,) = clinic.findings()
    assert re.match(r"trial 1: the tracker refused 1 of its entries \(.*steps end at.*\) → delivered once more", found)
    (left,) = clinic.findings(repair=True)
    assert left.startswith(f"{found} · not repaired (") and (clinic.at(1) / "outbox" / "refused.jsonl").exists()


def test_files_that_finished_trials_left_are_removed(clinic: Clinic) -> None:
    clinic.run()
    for name in ("checkpoint.pt", "checkpoint.previous.pt", "ended.json", "worker.lock", "worker.json"):
        (clinic.at(0) / name).touch()
    (clinic.at(1) / "weights.safetensors.part").touch()
    (clinic.at(2) / "outbox" / "sent.json.part").touch()
    names = "checkpoint.previous.pt, checkpoint.pt, worker.json, worker.lock, ended.json"
    cured(
        clinic,
        rf"trial 0: files are left that it does not need \({names}\) → removed",
        r"trial 1: .*\(weights.safetensors.part\)",
        r"trial 2: .*\(sent.json.part\)",
    )
    assert (clinic.at(1) / "weights.safetensors").exists()


def test_a_folder_without_a_trial_is_told(clinic: Clinic) -> None:
    clinic.run()
    clinic.at(9).mkdir()
    (found,) = clinic.findings()
    assert "trial-9 belongs to no trial of it" in found


def test_networks_that_are_gone_are_named_with_what_that_costs(clinic: Clinic) -> None:
    clinic.run()
    first, second, _ = (trial.number for trial in clinic.book.best(3))
    (clinic.at(first) / WEIGHTS).unlink()
    (found,) = clinic.findings()
    assert found.startswith(f"trial {first}: its weights.safetensors is gone → none; ")
    assert "`sweep sample` and `--model` cannot use it" in found and "MLflow has its numbers" in found
    (clinic.at(first) / MODEL).unlink()
    assert clinic.findings() == [found], "the study draws new images by weights, so there were some"
    shutil.rmtree(clinic.at(first))
    (found,) = clinic.findings()
    assert found.startswith(f"trial {first}: its folder is gone, and with it its weights.safetensors → none; ")
    assert clinic.findings(repair=True) == [f"{found} · not repaired"], "what is gone cannot be made again"
    done = CliRunner().invoke(main, ["sample", "toy"])
    assert done.exit_code == 2 and "are not in" in done.stderr, done.output
    assert CliRunner().invoke(main, ["sample", "toy", str(second)]).exit_code == 0
    shutil.rmtree(clinic.at())
    assert clinic.findings() == [found.replace(f"trial {first}:", "trials 0-2:")]


def test_the_folder_of_a_trial_that_keeps_no_network_may_go(clinic: Clinic) -> None:
    clinic.run(trials=1, set=["mode=diverge"])
    shutil.rmtree(clinic.at(0))
    assert clinic.doctor() == (0, ["toy: whole (1 trial, 2 runs)"])
