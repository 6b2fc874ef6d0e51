"""One trial, played in this process: what it says to the supervisor and what it leaves behind."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from orchestrator import checkpoint
from orchestrator.messages import Ended, Message, Pulse, Report, Task
from orchestrator.trial import play
from tests.memory import MemoryTracker
from tests.orchestrator.conftest import QUADRATIC, toy_task


@pytest.fixture
def tracker() -> MemoryTracker:
    tracker = MemoryTracker()
    tracker.start("trial 0", {}, {}, None)
    return tracker


def converse(task: Task, tracker: MemoryTracker, reply: Any = lambda message: "go") -> list[Message]:
    """All messages of a trial whose every word is answered by ``reply``."""
    trial, said, answer = play(task, tracker), [], None
    while not said or not isinstance(said[-1], Ended):
        message = trial.send(answer)
        answer = reply(message)
        if message is not None:
            said.append(message)
    return said


def test_a_whole_trial(folder: Path, tracker: MemoryTracker) -> None:
    said = converse(toy_task(folder), tracker)
    reports = [message for message in said if isinstance(message, Report)]
    assert [report.index for report in reports] == [1, 2, 3, 4, 5]
    assert [report.values[0] for report in reports] == pytest.approx([0.04 + 1 / n for n in range(1, 6)])
    assert said[-1] == Ended("complete", reports[-1].values)
    assert any(isinstance(message, Pulse) for message in said)
    assert load_file(folder / "trial-0" / "weights.safetensors")["x"] == 0.5
    assert (folder / "trial-0" / "samples.png").exists()
    run = tracker.runs["run0"]
    assert [step for step, key, _ in run.points if key == "noise"] == [1, 2, 3, 4, 5]
    assert {key for _, key, _ in run.points if key.startswith("seconds/")} == {"seconds/start", "seconds/training"}


def test_pruning_stops_at_once(folder: Path, tracker: MemoryTracker) -> None:
    said = converse(toy_task(folder), tracker, lambda message: "prune" if isinstance(message, Report) else None)
    assert [type(message) for message in said] == [Report, Ended]
    assert said[-1] == Ended("pruned", said[0].values)  # type: ignore[union-attr]
    assert tracker.runs["run0"].points[-1][0] <= 1


def test_stopping_leaves_a_checkpoint_from_which_it_goes_on(folder: Path, tracker: MemoryTracker) -> None:
    wait = iter(["go"] * 6 + ["stop"] * 100)
    said = converse(toy_task(folder), tracker, lambda message: next(wait))
    assert isinstance(said[-1], Ended) and said[-1].outcome == "stopped"
    saved = checkpoint.load(folder / "trial-0")
    assert saved is not None and 1 <= saved["step"] < 5
    before = [message.index for message in said if isinstance(message, Report)]
    again = converse(toy_task(folder), tracker)
    after = [message.index for message in again if isinstance(message, Report)]
    assert before + after == [1, 2, 3, 4, 5]
    points = [point[:2] for point in tracker.runs["run0"].points if point[1] == "noise"]
    assert len(points) == len(set(points)) == 5


def test_checkpoints_are_taken_as_time_passes(folder: Path, tracker: MemoryTracker) -> None:
    trial = play(toy_task(folder).model_copy(update={"checkpoint_seconds": 0.0}), tracker)
    answer = None
    while (saved := checkpoint.load(folder / "trial-0")) is None:
        trial.send(answer)
        answer = "go"
    assert saved["step"] == 1 and saved["reports"] == 1
    trial.close()


@pytest.mark.parametrize(
    ("mode", "outcome", "reason"), [("diverge", "diverged", "runaway"), ("crash", "failed", "RuntimeError")]
)
def test_endings_have_names(folder: Path, tracker: MemoryTracker, mode: str, outcome: str, reason: str) -> None:
    end = converse(toy_task(folder, mode=mode), tracker)[-1]
    assert isinstance(end, Ended) and (end.outcome, end.reason) == (outcome, reason)
    assert "it was told to" in end.detail


def test_a_trainer_that_never_reports_its_objective_has_failed(folder: Path, tracker: MemoryTracker) -> None:
    source = Path(QUADRATIC).read_text().replace('{"distance":', '{"elsewhere":')
    (folder / "silent.py").write_text(source)
    end = converse(toy_task(folder).model_copy(update={"study": str(folder / "silent.py")}), tracker)[-1]
    assert isinstance(end, Ended) and (end.outcome, end.reason) == ("failed", "NoObjective")


def test_a_nan_objective_is_a_divergence(folder: Path, tracker: MemoryTracker) -> None:
    source = Path(QUADRATIC).read_text().replace("1 / done})", 'float("nan")})')
    (folder / "nan.py").write_text(source)
    end = converse(toy_task(folder).model_copy(update={"study": str(folder / "nan.py")}), tracker)[-1]
    assert isinstance(end, Ended) and (end.outcome, end.reason) == ("diverged", "non_finite_objective")


def test_a_checkpoint_is_whole_or_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(folder, {"step": 1, "weight": torch.ones(3)})

    def broken(state: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(folder, {"step": 2})
    saved = checkpoint.load(folder)
    assert saved is not None and saved["step"] == 1 and torch.equal(saved["weight"], torch.ones(3))
    checkpoint.remove(folder)
    assert checkpoint.load(folder) is None and not list(folder.glob("checkpoint*"))


def test_a_task_is_json(folder: Path) -> None:
    one = toy_task(folder)
    assert Task.model_validate_json(one.model_dump_json()) == one
