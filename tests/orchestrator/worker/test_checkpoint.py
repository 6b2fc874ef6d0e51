"""Checkpoints: whole or not there, the one before where the last is cut, and never code."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator import files, layout
from orchestrator.files import CannotWrite
from orchestrator.messages import Ended
from orchestrator.worker import checkpoint, result


def steps(folder: Path) -> list[int]:
    return [torch.load(path, weights_only=True)["step"] for path in sorted(folder.glob("checkpoint*.pt"))]


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in range(5):
        checkpoint.save(tmp_path, {"step": step, "weight": torch.ones(3)})
    assert sorted(steps(tmp_path)) == [3, 4]
    saved = checkpoint.load(tmp_path)
    assert saved is not None and saved["step"] == 4 and torch.equal(saved["weight"], torch.ones(3))
    checkpoint.remove(tmp_path)
    assert checkpoint.load(tmp_path) is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_one_that_was_cut_gives_way_to_the_one_before(tmp_path: Path, share: float) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, {"step": step, "weight": torch.randn(1000)})
    path = tmp_path / layout.CHECKPOINT
    os.truncate(path, int(path.stat().st_size * share))
    saved = checkpoint.load(tmp_path)
    assert saved is not None and saved["step"] == 1
    (tmp_path / layout.PREVIOUS_CHECKPOINT).write_bytes(b"")
    assert checkpoint.load(tmp_path) is None


def test_one_that_is_of_no_use_gives_way_to_the_one_before(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, {"step": step})
    saved = checkpoint.load(tmp_path, lambda state: state["step"] < 2)
    assert saved is not None and saved["step"] == 1


def test_no_code_is_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "it ran"),)

    (tmp_path / layout.CHECKPOINT).write_bytes(pickle.dumps(Bomb()))
    torch.save({"step": Bomb()}, tmp_path / layout.PREVIOUS_CHECKPOINT)
    assert checkpoint.load(tmp_path) is None
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    checkpoint.save(tmp_path, {"step": 1})

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, moment, full)
    with pytest.raises(CannotWrite, match=r"checkpoint.pt cannot be written \(No space left on device\); make room"):
        checkpoint.save(tmp_path, {"step": 2})
    saved = checkpoint.load(tmp_path)
    assert saved is not None and saved["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == [layout.CHECKPOINT]


def test_the_objectives_groups_keep_their_key_in_the_file_of_an_ending(tmp_path: Path) -> None:
    end = Ended("complete", (3.5,), group_values={"fid/real": 0.1})
    result.save(tmp_path, end)
    assert json.loads((tmp_path / layout.ENDED).read_text())["beside"] == {"fid/real": 0.1}
    assert result.load(tmp_path) == end


def test_an_ending_is_read_as_it_was_written_and_half_of_one_is_none(tmp_path: Path) -> None:
    end = Ended("diverged", (0.5, 2.0), "runaway", "it ran away", 12.5)
    assert result.load(tmp_path) is None
    result.save(tmp_path, end)
    assert result.load(tmp_path) == end
    os.truncate(tmp_path / layout.ENDED, 20)
    assert result.load(tmp_path) is None
    result.remove(tmp_path)
    assert not list(tmp_path.iterdir())


def test_whether_there_is_a_checkpoint_is_told_without_reading_tensors(tmp_path: Path) -> None:
    steps = []

    def usable(state: dict[str, Any]) -> bool:
        steps.append(state["step"])
        return bool(state["step"] == 1)

    assert not checkpoint.is_there(tmp_path, usable) and not steps
    weights = torch.nn.BatchNorm1d(3).state_dict()
    for step in (1, 2):
        checkpoint.save(tmp_path, {"step": step, "weights": weights, "random": torch.get_rng_state()})
    assert checkpoint.is_there(tmp_path, usable) and steps == [2, 1]
    newest, previous = tmp_path / layout.CHECKPOINT, tmp_path / layout.PREVIOUS_CHECKPOINT
    newest.write_bytes(newest.read_bytes()[:-200])
    assert checkpoint.is_there(tmp_path, usable) and steps == [2, 1, 1]
    previous.write_bytes(previous.read_bytes()[:-200])
    assert not checkpoint.is_there(tmp_path, usable) and checkpoint.load(tmp_path) is None
