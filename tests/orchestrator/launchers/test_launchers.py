"""What every launcher promises, and what the local one adds: a process a trial, its own group, its own threads."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from torch import Tensor

from models.events import Compute
from orchestrator import launchers
from orchestrator.devices import Resources
from orchestrator.launchers import inline, local
from orchestrator.launchers.local import LocalLauncher
from orchestrator.launchers.protocol import Died, Job, Launcher
from orchestrator.layout import LOG
from orchestrator.messages import Ended, Report
from orchestrator.worker import lock
from tests.support.bench import toy_task
from tests.support.launching import hear_all
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, environment, wait_for, wait_until_gone

ONE = Resources(("cpu",), 1)


@pytest.fixture(params=[name for name in launchers.LAUNCHERS if name != "ray"])  # which test_ray.py tries
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    made = launchers.load(request.param)(ONE, QUADRATIC)
    yield made
    made.close()


def hear_some(launcher: Launcher, job: Job) -> None:
    """Until the trial has said something."""
    while not job.hear():
        launcher.wait([job], 1.0)


def test_a_trial_is_heard_to_its_end(launcher: Launcher, folder: Path) -> None:
    said = hear_all(launcher, launcher.launch(toy_task(folder)))
    assert [message.index for message in said if isinstance(message, Report)] == [1, 2, 3, 4, 5]
    assert isinstance(said[-1], Ended) and said[-1].outcome == "complete"


def test_a_launcher_has_a_device_for_each_slot_and_threads(launcher: Launcher) -> None:
    assert launcher.resources == ONE and launcher.resources.slots == 1


@pytest.mark.parametrize(("before", "inside"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_it_is_said_otherwise(
    before: str | None, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if before:
        monkeypatch.setenv("OMP_WAIT_POLICY", before)
    made = LocalLauncher(ONE, QUADRATIC)
    assert os.environ["OMP_WAIT_POLICY"] == inside
    made.close()
    assert os.environ.get("OMP_WAIT_POLICY") == before


def test_what_a_trial_printed_is_read_from_its_launcher(launcher: Launcher, folder: Path) -> None:
    assert launcher.log(folder) == b""
    (folder / LOG).write_bytes(b"a word")
    assert launcher.log(folder) == b"a word"


def test_a_worker_that_an_earlier_supervisor_left_is_ended(launcher: Launcher, folder: Path) -> None:
    earlier = LocalLauncher(ONE, QUADRATIC)
    job = earlier.launch(toy_task(folder, seconds=0.05, steps=100_000))
    hear_some(earlier, job)
    worker = psutil.Process(job.process.pid)
    launcher.evict([folder / "trial-0"], 0.0)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    job.kill()


def test_the_registry_imports_no_launcher() -> None:
    code = (
        "import sys\n"
        "from orchestrator import launchers\n"
        "assert not {name.partition(':')[0] for name in launchers.LAUNCHERS.values()} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())


def test_wishes_of_one_function_are_computed_in_few_calls() -> None:
    calls: list[tuple[str, int]] = []

    def double(rows: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(("double", len(rows)))
        return 2 * rows, rows.sum(1)

    def negate(rows: Tensor) -> tuple[Tensor, ...]:
        calls.append(("negate", len(rows)))
        return (-rows,)

    rows = [torch.rand(n, 3) for n in (3, 4, 5, 2)]
    wishes = [
        Compute(double, rows[0]),
        Compute(negate, rows[1]),
        Compute(double, rows[2], most=6),
        Compute(double, rows[3]),
    ]
    found = inline.compute(wishes)
    assert calls == [("double", 6), ("double", 4), ("negate", 4)]
    for mine, wish in zip(found, wishes, strict=True):
        for one, other in zip(mine, wish.function(wish.rows), strict=True):
            torch.testing.assert_close(one, other)
    assert inline.compute([]) == []


def test_a_reply_prunes(launcher: Launcher, folder: Path) -> None:
    said = hear_all(launcher, launcher.launch(toy_task(folder)), lambda report: "prune" if report.index == 2 else "go")
    assert isinstance(said[-1], Ended) and said[-1].outcome == "pruned"
    assert len([message for message in said if isinstance(message, Report)]) == 2


def test_stop_leaves_a_checkpoint(launcher: Launcher, folder: Path) -> None:
    job = launcher.launch(toy_task(folder, seconds=0.05, steps=200))
    job.reply("stop")
    said = hear_all(launcher, job)
    assert isinstance(said[-1], Ended) and said[-1].outcome == "stopped"
    assert (folder / "trial-0" / "checkpoint.pt").exists()


def test_a_killed_worker_is_noticed_and_leaves_nothing(folder: Path) -> None:
    launcher = LocalLauncher(ONE, QUADRATIC)
    job = launcher.launch(toy_task(folder, seconds=0.05, steps=1000))
    hear_some(launcher, job)
    pid = job.process.pid
    assert pid is not None
    psutil.Process(pid).kill()
    with pytest.raises(Died, match="ended by signal SIGKILL"):
        while True:
            launcher.wait([job], 1.0)
            job.hear()
    assert not psutil.pid_exists(pid)


def test_the_death_of_the_server_is_no_death_of_its_workers(folder: Path) -> None:
    """They go on, and are heard to their end; the next one comes from a new server."""
    from multiprocessing import forkserver

    launcher = LocalLauncher(ONE, QUADRATIC)
    job = launcher.launch(toy_task(folder))

    def kill_the_server(report: Report) -> str:
        if report.index == 2:
            psutil.Process(forkserver._forkserver._forkserver_pid).kill()  # type: ignore[attr-defined]
            wait_for(lambda: job.process.exitcode is not None, "the news of the server's death")
        return "go"

    said = hear_all(launcher, job, kill_the_server)
    assert isinstance(said[-1], Ended) and said[-1].outcome == "complete"
    (folder / "other").mkdir()
    again = launcher.launch(toy_task(folder / "other"))
    assert isinstance(hear_all(launcher, again)[-1], Ended)
    launcher.close()


def test_a_worker_that_the_system_kills_for_memory_is_told_from_one_that_somebody_kills(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([7, 8])  # the system's count when it starts, and when it has died
    monkeypatch.setattr(local, "_memory_kills", lambda: next(kills))
    launcher = LocalLauncher(ONE, QUADRATIC)
    job = launcher.launch(toy_task(folder, seconds=0.05, steps=1000))
    assert job.process.pid is not None
    psutil.Process(job.process.pid).kill()
    with pytest.raises(Died, match="want of memory") as caught:
        while True:
            launcher.wait([job], 1.0)
            job.hear()
    assert caught.value.out_of_memory


def test_lack_of_memory_is_counted_in_our_own_control_group_where_there_is_one(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    assert local._memory_kills(tmp_path) == 0
    write("proc/vmstat", "oom_kill_disable 4\noom_kill 41\n")
    assert local._memory_kills(tmp_path) == 41
    write("proc/self/cgroup", "9:memory:/elsewhere\n0::/user.slice/ours\n")
    assert local._memory_kills(tmp_path) == 41, "the group does not count"
    write("sys/fs/cgroup/user.slice/ours/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 1\n")
    assert local._memory_kills(tmp_path) == 2


@pytest.mark.parametrize("session", [False, True])
def test_kill_ends_what_the_trainer_started_as_well(folder: Path, session: bool) -> None:
    """A grandchild, such as a data loader's worker, goes with its worker, and one in a session of its own, too."""
    source = Path(QUADRATIC).read_text()
    start = f'subprocess.Popen(["sleep", "300"], start_new_session={session})'
    source = source.replace("    first = 0\n", f"    import subprocess\n\n    {start}\n    first = 0\n")
    (folder / "parent.py").write_text(source)
    launcher = LocalLauncher(ONE, QUADRATIC)
    job = launcher.launch(
        toy_task(folder, seconds=0.05, steps=1000).model_copy(update={"study": str(folder / "parent.py")})
    )
    hear_some(launcher, job)
    family = psutil.Process(job.process.pid).children()
    assert [child.name() for child in family] == ["sleep"]
    job.kill()
    wait_until_gone(family)


def test_what_a_trainer_prints_goes_to_its_log(folder: Path) -> None:
    source = (
        Path(QUADRATIC)
        .read_text()
        .replace("    first = 0\n", '    print("a word from within", flush=True)\n    first = 0\n')
    )
    (folder / "talker.py").write_text(source)
    launcher = LocalLauncher(ONE, QUADRATIC)
    hear_all(launcher, launcher.launch(toy_task(folder).model_copy(update={"study": str(folder / "talker.py")})))
    assert "a word from within" in (folder / "trial-0" / LOG).read_text()


def test_a_worker_whose_supervisor_died_while_it_started_does_nothing(folder: Path) -> None:
    """By the time that it has the trial's lock, another supervisor may have had the trial played to its end."""
    task = toy_task(folder)
    code = (
        "import os, sys, time\n"
        "from orchestrator.devices import Resources\n"
        "from orchestrator.launchers.local import LocalLauncher\n"
        "from orchestrator.messages import Task\n"
        "if __name__ == '__main__':\n"
        "    launcher = LocalLauncher(Resources(('cpu',), 1), sys.argv[2])\n"
        "    print(launcher.launch(Task.model_validate_json(sys.argv[1])).process.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    script = folder / "short_lived.py"
    script.write_text(code)
    with lock.hold_worker_lock(folder / "trial-0"):  # so it waits for us, and its supervisor dies meanwhile
        command = [sys.executable, str(script), task.model_dump_json(), QUADRATIC]
        with (folder / "said").open("w") as said:  # a file, for the worker holds a pipe open
            assert subprocess.run(command, env=environment(), stdout=said).returncode == -signal.SIGKILL
    worker = int((folder / "said").read_text())
    wait_for(lambda: not psutil.pid_exists(worker))
    left = {path.name: path.read_text() for path in (folder / "trial-0").iterdir()}
    assert left == {LOG: ""}, "no checkpoint, no mark, no word"


@pytest.mark.parametrize("session", [False, True])
def test_what_a_trainer_started_ends_when_the_supervisor_is_gone(folder: Path, session: bool) -> None:
    """The worker notices, leaves with a checkpoint, and takes with it what it has started."""
    start = f'subprocess.Popen(["sleep", "300"], start_new_session={session})'
    source = Path(QUADRATIC).read_text()
    source = source.replace(
        "    first = 0\n", f"    import subprocess\n\n    print({start}.pid, flush=True)\n    first = 0\n"
    )
    (folder / "parent.py").write_text(source)
    task = toy_task(folder, seconds=0.05, steps=1000).model_copy(update={"study": str(folder / "parent.py")})
    code = (
        "import os, sys, time\n"
        "from orchestrator.devices import Resources\n"
        "from orchestrator.launchers.local import LocalLauncher\n"
        "from orchestrator.messages import Task\n"
        "launcher = LocalLauncher(Resources(('cpu',), 1), sys.argv[2])\n"
        "job = launcher.launch(Task.model_validate_json(sys.argv[1]))\n"
        "while not os.path.exists(sys.argv[3]) or not open(sys.argv[3]).read().strip():\n"
        "    time.sleep(0.05)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    log_file = folder / "trial-0" / LOG
    command = [sys.executable, "-c", code, task.model_dump_json(), task.study, str(log_file)]
    assert subprocess.run(command, env=environment(), timeout=LIMIT).returncode == -signal.SIGKILL
    wait_until_gone([psutil.Process(int(log_file.read_text()))])


def test_what_a_trainer_started_ends_with_a_trial_that_is_complete(folder: Path) -> None:
    """One in a session of its own, too."""
    start = 'subprocess.Popen(["sleep", "300"], start_new_session=True)'
    source = Path(QUADRATIC).read_text()
    source = source.replace(
        "    first = 0\n", f"    import subprocess\n\n    print({start}.pid, flush=True)\n    first = 0\n"
    )
    (folder / "parent.py").write_text(source)
    launcher = LocalLauncher(ONE, str(folder / "parent.py"))
    task = toy_task(folder).model_copy(update={"study": str(folder / "parent.py")})
    assert isinstance(hear_all(launcher, launcher.launch(task))[-1], Ended)
    launcher.close()
    started = int((folder / "trial-0" / LOG).read_text())
    wait_for(lambda: not psutil.pid_exists(started) or psutil.Process(started).status() == psutil.STATUS_ZOMBIE)
