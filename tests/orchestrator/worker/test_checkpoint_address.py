"""Checkpoints at an address: as good as those in a folder, also on a machine that has nothing of the trial's folder."""

import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator.delivery import outbox
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox, Position
from orchestrator.errors import UserError
from orchestrator.files import CannotWrite
from orchestrator.layout import CHECKPOINT, OUTBOX, PREVIOUS_CHECKPOINT, trial_folder
from orchestrator.repair import removal
from orchestrator.stores import checkpoint_store
from orchestrator.supervisor.limits import Limits
from orchestrator.worker import checkpoint
from tests.support import cli
from tests.support.bench import Bench
from tests.support.paths import QUADRATIC

OFTEN = Limits(checkpoint=1e-9, silence=None)


@pytest.fixture(params=["file", "memory"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path.as_uri()}/far/trial-0" if request.param == "file" else f"memory:/{tmp_path}/trial-0"


def test_the_last_two_are_kept_and_the_folder_has_none(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    assert checkpoint.load(folder, address=address) is None
    for step in range(3):
        checkpoint.save(folder, {"step": step, "weight": torch.full((3,), step)}, address)
    saved = checkpoint.load(folder, address=address)
    assert saved is not None and saved["step"] == 2 and saved["weight"].tolist() == [2, 2, 2]
    assert [
        torch.load(io.BytesIO(parcel.state), weights_only=True)["step"] for parcel in checkpoint_store.read(address)
    ] == [2, 1]
    assert not list(folder.iterdir())
    checkpoint.remove(folder, address)
    assert checkpoint.load(folder, address=address) is None


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "still aside"])
def test_one_that_is_damaged_gives_way_to_the_one_before(tmp_path: Path, damage: str) -> None:
    far = tmp_path / "far"
    for step in (1, 2):
        checkpoint.save(tmp_path, {"step": step}, far.as_uri())
    newest, content = far / CHECKPOINT, (far / CHECKPOINT).read_bytes()
    if damage == "cut":
        os.truncate(newest, len(content) // 2)
    elif damage == "changed":
        newest.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    elif damage == "empty":
        newest.write_bytes(b"")
    else:  # killed between two renamings
        os.rename(newest, far / f"{CHECKPOINT}.part")
    saved = checkpoint.load(tmp_path, address=far.as_uri())
    assert saved is not None and saved["step"] == (2 if damage == "still aside" else 1)
    (far / PREVIOUS_CHECKPOINT).unlink()
    assert (checkpoint.load(tmp_path, address=far.as_uri()) is None) == (damage != "still aside")


def test_it_brings_what_was_not_delivered_to_a_machine_that_does_not_have_it(address: str, tmp_path: Path) -> None:
    def usable(state: dict[str, Any]) -> bool:
        return outbox.holds(folder, Position(**state["outbox"]))

    store = MemoryStore()
    for life, folder in enumerate((tmp_path / "here", tmp_path / "there")):
        folder.mkdir()
        record = Outbox(folder)
        record.begin("key", "trial 0", {}, {})
        record.close()
        saved = checkpoint.load(folder, usable, address)
        assert (saved is None) == (life == 0)
        record = Outbox(folder)
        for step in (1, 2, 3) if life == 0 else (4, 5):
            record.numbers(step, {"loss": 1 / step})
            if step == 1:
                Delivery(folder, store).drain()
        checkpoint.save(folder, {"step": step, "outbox": record.position().model_dump()}, address)
        record.numbers(step + 1, {"loss": 9.0})  # said after the checkpoint, so it is said again
        record.close()
        shutil.rmtree(tmp_path / "here", ignore_errors=True)
    Delivery(folder, store).drain()
    assert [step for step, _, _ in store.record("key").points] == [1, 2, 3, 4, 5, 6]
    assert len(store.records) == 1


def test_a_sweep_goes_on_where_its_folders_are_gone(bench: Bench, folder: Path, tmp_path: Path) -> None:
    journal, far = folder / "journal", tmp_path / "far"
    book = bench.book(trials=2, set=["steps=30", f"journal={journal}"], pruner="none", checkpoints=str(far))
    with bench.supervisor(book, OFTEN) as supervisor:
        computed = lambda: len(journal.read_text().splitlines()) if journal.exists() else 0  # noqa: E731
        assert supervisor.drive(None, lambda: "interrupted" if computed() >= 10 else "") == "interrupted"
    assert list(far.rglob(CHECKPOINT)) and not list(Path(book.spec.folder).rglob("*.pt"))
    for number in (0, 1):
        shutil.rmtree(trial_folder(book.spec.folder, number), ignore_errors=True)
    bench.drive(book, limits=OFTEN)
    steps = [line.split()[:2] for line in journal.read_text().splitlines()]
    assert len(steps) == 60 and len({tuple(step) for step in steps}) == 60, "no step was computed twice"
    for number in (0, 1):
        points = bench.record(book, number).points
        assert [step for step, key, _ in points if key == "distance"] == list(range(1, 31))
    assert not list(far.rglob("*.pt")), "what is told needs no checkpoint"
    (far / book.spec.id).mkdir(exist_ok=True)
    removal.remove(book, keep_runs=True)
    assert not (far / book.spec.id).exists()


def test_an_address_that_takes_nothing_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for address, refusal in (
        (str(tmp_path / "file"), "cannot be written to"),
        ("memory://sweeps", "memory ends with its process"),
        ("nonsense://x", "there is no nonsense://"),
        ("s3://key:secret@bucket/x", "holds credentials"),
        ("s3://", "names no bucket"),
        ("http://there/x", "there is no http:// for checkpoints"),
    ):
        with pytest.raises(UserError, match=refusal) as caught:
            checkpoint_store.check(checkpoint_store.resolve(address))
        assert "secret" not in str(caught.value)
    assert checkpoint_store.resolve(f"{tmp_path}/new/") == f"{tmp_path.as_uri()}/new"


def test_a_plan_makes_no_folder_for_checkpoints(folder: Path) -> None:
    """Nor does a command that is refused for another reason, or one for another machine."""
    run = ("run", str(QUADRATIC), "--checkpoints", "far")
    for arguments in ((*run, "--dry-run"), (*run, "--set", "nonsense=1"), ("cluster", "slurm", "--", *run)):
        cli.sweep(*arguments, cwd=folder)
        assert not (folder / "far").exists(), arguments


def test_a_place_that_fails_later_is_said_and_ends_no_trial(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="no checkpoint can be written to .*; see to that place"):
        checkpoint.save(tmp_path, {"step": 1}, f"{tmp_path.as_uri()}/file/trial-0")
    with pytest.raises(CannotWrite, match="cannot be read"):
        checkpoint.load(tmp_path, address=f"{tmp_path.as_uri()}/file/trial-0")


def test_lines_that_are_not_whole_stay(tmp_path: Path) -> None:
    record = Outbox(tmp_path)
    record.begin("key", "trial 0", {}, {})
    record.numbers(1, {"loss": 1.0})
    record.end("FINISHED", {})
    path = outbox.path_of(tmp_path / OUTBOX, 1)
    path.write_bytes(path.read_bytes() + b'{"at":1,"do":"numb')
    lines = outbox.undelivered(tmp_path)
    assert lines.count(b"\n") == 1 and b'"do":"numbers"' in lines
