"""Memory that trials were seen to hold decides how many run at a time."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from orchestrator.devices import Resources
from orchestrator.launchers import memory
from orchestrator.launchers.inline import InlineJob, InlineLauncher
from orchestrator.launchers.memory import Held
from orchestrator.messages import Task
from orchestrator.search.trials import PendingTrial, Stay, Trial
from orchestrator.supervisor import supervisor
from orchestrator.supervisor.room import Room
from orchestrator.supervisor.status import RunningTrial
from tests.support.bench import Bench
from tests.support.jobs import Worker

GB = 10**9
HUNGRY = """
import sys
block = bytearray(b"x" * 200_000_000)
del block
print("freed", flush=True)
sys.stdin.read()
"""


def running(held: Held | None) -> RunningTrial:
    return RunningTrial(PendingTrial(0, {}, {}, 0, None), 0, Worker(held=held), 0.0, 0.0)


def test_the_most_that_a_process_has_held_is_known_after_it_gave_it_back() -> None:
    process = subprocess.Popen([sys.executable, "-c", HUNGRY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout and process.stdout.readline()
        found = memory.held(psutil.Process(process.pid))
        assert found is not None and found.most > 200_000_000 and found.now < 100_000_000
    finally:
        process.communicate()
    assert memory.held(psutil.Process()) and memory.free() > 0


def test_a_limit_of_the_container_counts(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup/job"
    group.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/job\n")
    everything = memory.free(tmp_path)
    (group / "memory.max").write_text("max\n")
    assert memory.free(tmp_path) == pytest.approx(everything, rel=0.2)
    (group.parent / "memory.max").write_text("5000\n")
    (group.parent / "memory.current").write_text("3000\n")
    (group.parent / "memory.stat").write_text("anon 2000\ninactive_file 700\nactive_file 300\n")
    assert memory.free(tmp_path) == 3000


def room(*trials: Trial) -> Room:
    """On an agenda that always has a trial: number 7."""
    book = SimpleNamespace(finished=lambda: trials)
    agenda = SimpleNamespace(book=book, events=[], open=lambda count: True, next=lambda count: 7)
    return Room(agenda)  # type: ignore[arg-type]


def test_another_trial_starts_where_all_may_grow_to_the_most_that_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    full = room(Trial(0, stays=(Stay("cpu", 0, 1, memory=3 * GB),)), Trial(1))
    half = running(Held(GB, GB))
    full.look(half)
    monkeypatch.setattr(memory, "free", lambda: 5.2 * GB)  # the one that runs may want 2 more, and 1.1 × 3 are too many
    assert full.next({}) == 7, "the only one always starts"
    assert full.next({0: half}) is None and full.next({0: half}) is None
    assert full.agenda.events == [
        "a trial holds up to 3.00 GB of memory, and 3.20 GB are left: no more than 1 at a time while that is so"
    ]
    monkeypatch.setattr(memory, "free", lambda: 5.4 * GB)
    assert full.next({0: half}) == 7


def test_nothing_is_known_before_the_first_and_nothing_of_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free", lambda: 0)
    unknown, elsewhere = room(), running(None)
    unknown.look(elsewhere)
    assert unknown.next({0: elsewhere}) == 7


@pytest.mark.parametrize(("free", "together"), [(0.5 * GB, [0, 1, 0, 0, 0]), (9 * GB, [0, 1, 0, 1, 0])])
def test_fewer_trials_run_at_a_time_where_memory_is_short(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, free: float, together: list[int]
) -> None:
    """The first two start before anything is known."""
    monkeypatch.setattr(InlineJob, "memory", lambda job: Held(GB, GB))
    monkeypatch.setattr(memory, "free", lambda: free)
    monkeypatch.setattr(supervisor, "CHECK_SECONDS", 0.0)
    beside: list[int] = []

    class Watched(InlineLauncher):
        def launch(self, task: Task) -> InlineJob:
            beside.append(len(driven.status.running))
            return super().launch(task)

    book = bench.book(trials=5)
    with bench.supervisor(book, launcher=Watched(Resources(("cpu", "cpu"), 1))) as driven:
        assert driven.drive(None, lambda: "") == ""
    assert beside == together
    assert sum("of memory" in event for event in driven.status.events) == (free < GB)
    assert {trial.memory for trial in book.trials()} == {GB}
