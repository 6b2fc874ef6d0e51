"""One trial, played in this process: what it says to the supervisor and what it leaves behind."""

import os
import resource
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file

from orchestrator import layout
from orchestrator.delivery import outbox
from orchestrator.delivery.entries import Entry, Numbers, Tags
from orchestrator.messages import Ended, Message, Pulse, Report, Saved, Task
from orchestrator.worker import checkpoint, result
from orchestrator.worker import trial as trials
from orchestrator.worker.trial import run_trial
from tests.support.bench import toy_task
from tests.support.paths import QUADRATIC


def said_in(folder: Path) -> list[Entry]:
    """Everything in the trial's outbox, over all its segments."""
    box = folder / "trial-0" / layout.OUTBOX
    return [entry for segment in outbox.segments(box) for entry in outbox.read(box, segment, 0, 10**6)[0]]


def points(folder: Path, key: str = "noise") -> list[int]:
    """Steps at which ``key`` was said."""
    return [entry.step for entry in said_in(folder) if isinstance(entry, Numbers) and key in entry.values]


def converse(task: Task, reply: Any = lambda message: "go") -> list[Message]:
    """All messages of a trial whose every word is answered by ``reply``."""
    trial, said, answer = run_trial(task), [], None
    while not said or not isinstance(said[-1], Ended):
        message = trial.send(answer)
        answer = reply(message)
        if message is not None:
            said.append(message)
    return said


def test_a_whole_trial(folder: Path) -> None:
    said = converse(toy_task(folder))
    reports = [message for message in said if isinstance(message, Report)]
    assert [report.index for report in reports] == [1, 2, 3, 4, 5]
    assert [report.values[0] for report in reports] == pytest.approx([0.04 + 1 / n for n in range(1, 6)])
    assert isinstance(said[-1], Ended) and (said[-1].outcome, said[-1].values) == ("complete", reports[-1].values)
    assert any(isinstance(message, Pulse) for message in said)
    assert load_file(folder / "trial-0" / "weights.safetensors")["x"] == 0.5
    assert (folder / "trial-0" / "samples.png").exists()
    assert points(folder) == [1, 2, 3, 4, 5]
    (times,) = [entry for entry in said_in(folder) if isinstance(entry, Numbers) and "seconds/start" in entry.values]
    assert set(times.values) == {"seconds/start", "seconds/training", "seconds/evaluation"}
    assert sum(times.values.values()) == pytest.approx(said[-1].seconds, abs=0.05)
    assert result.load(folder / "trial-0") == said[-1], "how it ended is on disk before it is said"


def test_pruning_stops_at_once(folder: Path) -> None:
    said = converse(toy_task(folder), lambda message: "prune" if isinstance(message, Report) else None)
    assert [type(message) for message in said] == [Report, Ended]
    assert isinstance(said[-1], Ended) and (said[-1].outcome, said[-1].values) == ("pruned", said[0].values)  # type: ignore[union-attr]
    assert points(folder) == [1]


def test_stopping_leaves_a_checkpoint_from_which_it_goes_on(folder: Path) -> None:
    wait = iter(["go"] * 6 + ["stop"] * 100)
    said = converse(toy_task(folder), lambda message: next(wait))
    assert isinstance(said[-1], Ended) and said[-1].outcome == "stopped"
    saved = checkpoint.load(folder / "trial-0")
    assert saved is not None and 1 <= saved["step"] < 5
    before = [message.index for message in said if isinstance(message, Report)]
    again = converse(toy_task(folder))
    after = [message.index for message in again if isinstance(message, Report)]
    assert before + after == [1, 2, 3, 4, 5]
    assert points(folder) == [1, 2, 3, 4, 5], "nothing was said twice"


def test_a_report_whose_answer_nobody_gave_is_made_again(folder: Path) -> None:
    """A worker that finds its supervisor gone takes that for "stop"; the checkpoint that it then leaves is behind the report."""
    gone = lambda message: "stop" if isinstance(message, Report) and message.index >= 2 else "go"  # noqa: E731
    first = [message for message in converse(toy_task(folder), gone) if not isinstance(message, Pulse)]
    again = [message for message in converse(toy_task(folder)) if not isinstance(message, Pulse)]
    assert isinstance(first[-1], Ended) and first[-1].outcome == "stopped"
    assert first[1:] == [Report(2, first[1].values, 2), Saved(2), first[-1]]  # type: ignore[union-attr]
    assert again[:2] == [Saved(2), first[1]]
    assert [message.index for message in again if isinstance(message, Report)] == [2, 3, 4, 5]
    assert points(folder, "distance") == [1, 2, 3, 4, 5], "to the supervisor alone"


def test_checkpoints_are_taken_as_time_passes(folder: Path) -> None:
    trial = run_trial(toy_task(folder).model_copy(update={"checkpoint_seconds": 0.0}))
    answer = None
    while (saved := checkpoint.load(folder / "trial-0")) is None:
        trial.send(answer)
        answer = "go"
    assert saved["step"] == 1 and saved["reports"] == 1
    trial.close()


@pytest.mark.parametrize(
    ("mode", "outcome", "reason"), [("diverge", "diverged", "runaway"), ("crash", "failed", "RuntimeError")]
)
def test_endings_have_names(folder: Path, mode: str, outcome: str, reason: str) -> None:
    end = converse(toy_task(folder, mode=mode))[-1]
    assert isinstance(end, Ended) and (end.outcome, end.reason) == (outcome, reason)
    assert "it was told to" in end.detail


def test_a_trainer_that_never_reports_its_objective_has_failed(folder: Path) -> None:
    source = Path(QUADRATIC).read_text().replace('{"distance":', '{"elsewhere":')
    (folder / "silent.py").write_text(source)
    end = converse(toy_task(folder).model_copy(update={"study": str(folder / "silent.py")}))[-1]
    assert isinstance(end, Ended) and (end.outcome, end.reason) == ("failed", "NoObjective")


def test_a_nan_objective_is_a_divergence(folder: Path) -> None:
    source = Path(QUADRATIC).read_text().replace("1 / done", 'float("nan")')
    (folder / "nan.py").write_text(source)
    end = converse(toy_task(folder).model_copy(update={"study": str(folder / "nan.py")}))[-1]
    assert isinstance(end, Ended) and (end.outcome, end.reason) == ("diverged", "non_finite_objective")


def test_a_task_is_json(folder: Path) -> None:
    one = toy_task(folder)
    assert Task.model_validate_json(one.model_dump_json()) == one


def test_a_checkpoint_is_saved_when_its_time_has_come_and_not_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every word takes a second of a clock that the test turns, and a step four: due after 1, 2, 4, 8, then each 10."""
    clock = iter(range(1000, 10**6))
    now = [1000.0]
    monkeypatch.setattr(trials, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def reply(message: Message | None) -> str:
        now[0] = float(next(clock))
        return "go"

    task = toy_task(folder, steps=20).model_copy(update={"checkpoint_seconds": 10.0})
    saved = [message.step for message in converse(task, reply) if isinstance(message, Saved)]
    assert saved == [1, 2, 3, 5, 8, 11, 14, 17, 20]


def changed(folder: Path, code: str) -> Task:
    """A trial of the toy study whose trainer begins with ``code``."""
    source = Path(QUADRATIC).read_text().replace("    first = 0\n", f"    {code}\n    first = 0\n", 1)
    (folder / "changed.py").write_text(source)
    return toy_task(folder).model_copy(update={"study": str(folder / "changed.py")})


def test_a_trainer_that_exits_has_failed_and_its_reason_is_kept(folder: Path) -> None:
    end = converse(changed(folder, 'raise SystemExit("no licence for the solver")'))[-1]
    assert isinstance(end, Ended) and (end.outcome, end.reason) == ("failed", "SystemExit")
    assert end.detail.startswith("sys.exit('no licence for the solver')")


def test_too_many_open_files_are_the_trouble_of_one_trial(folder: Path) -> None:
    """A full disk ends the sweep; what this process alone cannot open does not."""
    leak = "import itertools, os; leaked = [os.dup(0) for _ in itertools.repeat(0, 10**6)]"
    task = changed(folder, f"try:\n        {leak}\n    except OSError: pass")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    already = {int(number) for number in os.listdir("/proc/self/fd")}  # other tests have files open too
    limit = max(already) + 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        end = converse(task)[-1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for number in set(range(limit)) - already:  # what the trainer has left open
            with suppress(OSError):
                if os.fstat(number) == os.fstat(0):
                    os.close(number)
    assert isinstance(end, Ended) and (end.outcome, end.reason) == ("failed", "TooManyOpenFiles")


def test_a_resumed_trial_says_at_once_in_which_stage_it_is(folder: Path) -> None:
    """So one that hangs before its first update is noticed as one that hangs in training."""
    stopped = converse(toy_task(folder), lambda message: "stop" if isinstance(message, Pulse) else "go")
    assert isinstance(stopped[-1], Ended) and stopped[-1].outcome == "stopped"
    saved, pulse, *_ = converse(toy_task(folder))
    assert isinstance(saved, Saved) and isinstance(pulse, Pulse)
    assert (pulse.stage, pulse.total) == ("training", 5)


def test_facts_of_a_trainer_take_the_place_of_no_tag_that_trials_are_known_by(folder: Path) -> None:
    code = 'from models.events import Facts; yield Facts({"sweep": "mine", "node": 3, "mlflow.runName": "x", "solver": "cg"})'
    converse(changed(folder, code))
    (tags,) = [entry.values for entry in said_in(folder) if isinstance(entry, Tags)]
    assert tags == {"fact sweep": "mine", "fact node": "3", "fact mlflow.runName": "x", "solver": "cg"}
