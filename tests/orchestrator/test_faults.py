"""Any part of a sweep is killed, hung, cut or starved, for real, and the sweep goes on exactly where it was."""

import os
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.worker import checkpoint
from tests.support.paths import QUADRATIC
from tests.support.place import Place, gone, kill, wait_for
from tests.support.servers import MlflowServer

pytestmark = pytest.mark.slow
STEPS = 40
STEP = 0.1  # seconds
SLOW = {"seconds": STEP, "steps": STEPS, "journal": "journal"}
EVERY = ("--pruner", "none", "--checkpoint-every", "0.5", "--workers", "2")


@pytest.fixture(params=["files", "servers"])
def place(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """With SQLite files; and with PostgreSQL and an MLflow server that asks who one is."""
    stores = {"SWEEP_STORAGE": f"sqlite:///{folder}/sweeps.db", "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    if request.param == "servers":
        postgresql = request.getfixturevalue("postgresql")
        server = request.getfixturevalue("mlflow_server")("postgresql")
        stores = {"SWEEP_STORAGE": postgresql.database(), "MLFLOW_TRACKING_URI": server.address}
        stores |= postgresql.environment | server.environment
    for name, value in stores.items():
        monkeypatch.setenv(name, value)
    made = Place(folder, stores)
    yield made
    made.close()


# What takes minutes is tried on servers as well by `pytest -m long`.
servers_long = pytest.mark.parametrize(
    "place", ["files", pytest.param("servers", marks=pytest.mark.long)], indirect=True
)
files_only = pytest.mark.parametrize("place", ["files"], indirect=True)


def computed(place: Place) -> dict[str, list[int]]:
    """Steps as they were computed, by trial."""
    steps: dict[str, list[int]] = defaultdict(list)
    for line in (place.folder / "journal").read_text().splitlines():
        seed, step, _ = line.split()
        steps[seed].append(int(step))
    return steps


def again(place: Place) -> int:
    """Steps that were computed more than once."""
    return sum(len(steps) - len(set(steps)) for steps in computed(place).values())


def test_a_killed_worker_is_followed_by_another_and_the_trial_goes_on_as_itself(place: Place) -> None:
    process = place.start(*place.run("--trials", "3", *EVERY, **SLOW))
    wait_for(place.begun(2, step=12))
    before = place.workers()
    runs = {name: run.info.run_id for name, run in place.runs().items()}
    kill(before[0])
    took = wait_for(lambda: place.workers().get(0, before[0]) != before[0], 5)
    assert took < 2, f"noticed and followed after {took:.1f} s"
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "trial 0 goes on from step" in out and "SIGKILL" in out
    place.check(3, STEPS)
    assert runs.items() <= {name: run.info.run_id for name, run in place.runs().items()}.items()
    assert [len(trial.user_attrs.get("deaths", [])) for trial in place.trials()] == [1, 0, 0]
    assert place.runs()["trial 0"].data.tags["deaths"] == "1"
    assert again(place) <= 0.5 / STEP + 2, "no more than a checkpoint's interval"


@pytest.mark.parametrize("deaths", [3, 5])
def test_after_three_deaths_at_one_place_a_trial_has_failed_and_the_sweep_goes_on(place: Place, deaths: int) -> None:
    """Three, or as many as are allowed."""
    limit = () if deaths == 3 else ("--deaths", str(deaths))
    done = place.sweep(*place.run("--trials", "2", *EVERY, *limit, mode="killed", steps=5, journal="journal"))
    assert done.returncode == 1, done.stderr
    assert "no trial was completed" in done.stdout
    place.check(2, 5, failed=2)
    for trial in place.trials():
        assert trial.user_attrs["reason"] == "Died"
        assert f"{deaths} times at step 0" in trial.user_attrs["detail"] and "SIGKILL" in trial.user_attrs["detail"]
        assert "SIGKILL" in place.runs()[f"trial {trial.number}"].data.tags["mlflow.note.content"]


def test_a_death_in_every_trial_costs_none(place: Place) -> None:
    stem = f"{place.folder}/once-"
    done = place.sweep(*place.run("--trials", "4", *EVERY, mode="killed_once", stem=stem, steps=5, journal="journal"))
    assert done.returncode == 0, done.stderr
    place.check(4, 5)


MOMENTS = {
    "asked": "from orchestrator.search.book import Book as owner; name, after = 'ask', True",
    "queued": "from optuna import Study as owner; name, after = 'enqueue_trial', True",
    "half asked": "from orchestrator.search.book import Book as owner; name, after = '_asked', False",
    "begun": "import orchestrator.tracking.trial_record as owner; name, after = 'begin', True",
    "launched": "from orchestrator.launchers.local import LocalLauncher as owner; name, after = 'launch', True",
    "reported": "from orchestrator.search.book import Book as owner; name, after = 'report', True",
    "ended": "import orchestrator.tracking.trial_record as owner; name, after = 'end', False",
    "recorded": "import orchestrator.tracking.trial_record as owner; name, after = 'end', True",
    "to be told": "from orchestrator.search.book import Book as owner; name, after = 'tell', False",
    "told": "from orchestrator.search.book import Book as owner; name, after = 'tell', True",
    "delivered": "from orchestrator.tracking.mlflow_store import MlflowStore as owner; name, after = 'deliver', True",
    "record made": "from orchestrator.tracking.mlflow_store import MlflowStore as owner; name, after = 'begin', True",
}
FIRST = "queued"  # only the study's own recipe is: trial 0
KILLER = """
import os, signal
{moment}
original, calls = getattr(owner, name), []
def killed(*arguments, **more):
    calls.append(name)
    if len(calls) == {call} and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **more)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(owner, name, killed)
"""


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
@servers_long
def test_the_supervisor_is_killed_between_any_two_of_its_acts(place: Place, seed: int) -> None:
    """Each moment once, one after another in one sweep: in the end nothing is lost, and nothing is there twice."""
    later = [moment for moment in MOMENTS if moment != FIRST]
    random.Random(seed).shuffle(later)
    total, begun = 14, False
    for moment in [FIRST, *later]:
        script = KILLER.format(moment=MOMENTS[moment], call=2 if begun else 1)
        arguments = ["resume", "toy", "--workers", "2", "--checkpoint-every", "0.1"]
        if not begun:
            arguments = place.run("--trials", str(total), *EVERY, "--sampler", "random", steps=6, seconds=0.05)
        process = place.start(*arguments, script=script)
        process.wait(timeout=60)
        assert process.returncode == -signal.SIGKILL, (moment, process.communicate())
        begun = True
    done = place.sweep("resume", "toy")
    assert done.returncode == 0, done.stderr
    place.check(total, 6)


def test_workers_leave_when_the_supervisor_is_killed(place: Place) -> None:
    process = place.start(*place.run("--trials", "3", *EVERY, **SLOW))
    wait_for(place.begun(2, step=8))
    family = place.family(process)
    assert len(family) >= 3  # the fork server and two workers
    process.kill()
    assert not gone(family, 5), "by themselves, within seconds"
    assert {path.parent.name for path in place.folder.rglob(checkpoint.NAME)} == {"trial-0", "trial-1"}
    done = place.sweep("resume", "toy", "--workers", "2")
    assert done.returncode == 0, done.stderr
    place.check(3, STEPS)
    assert again(place) == 0, "they left with a checkpoint"


def test_a_worker_that_does_not_notice_is_ended_when_the_supervisor_is_gone(place: Place) -> None:
    process = place.start(*place.run("--trials", "1", "--workers", "1", mode="loop", steps=5, journal="journal"))
    wait_for(place.begun(1, step=3))
    family = place.family(process)
    process.kill()
    assert not gone(family, 15)


def test_another_supervisor_is_turned_away_and_takes_over_after_the_first_ones_death(
    place: Place,
) -> None:
    steps = 200
    process = place.start(*place.run("--trials", "2", *EVERY, **SLOW | {"steps": steps}))
    wait_for(place.begun(2, step=4))
    second = place.sweep("resume", "toy")
    assert second.returncode == 2
    assert f"is being driven by process {process.pid} on {os.uname().nodename} since 20" in second.stderr
    frozen = place.workers()[0]
    kill(frozen, signal.SIGSTOP)  # this one will not leave by itself
    process.kill()
    third = place.start("resume", "toy", "--workers", "2", "--checkpoint-every", "0.5")
    wait_for(lambda: place.workers().get(0, frozen) != frozen)  # benchmarks/recovery.py measures how soon
    _, err = third.communicate(timeout=120)
    assert third.returncode == 0, err
    place.check(2, steps)


def test_a_frozen_worker_is_replaced(place: Place) -> None:
    process = place.start(*place.run("--trials", "2", *EVERY, "--silence", "2", **SLOW))
    wait_for(place.begun(2, step=8))
    frozen = place.workers()[1]
    kill(frozen, signal.SIGSTOP)
    wait_for(lambda: place.workers().get(1, frozen) != frozen, 10)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "silent for 2 s at training" in out
    place.check(2, STEPS)
    assert again(place) <= 0.5 / STEP + 2


def test_a_supervisor_that_stood_still_does_not_take_its_workers_for_hung(place: Place) -> None:
    """As after Ctrl-Z and fg."""
    process = place.start(*place.run("--trials", "2", *EVERY, "--silence", "2", **SLOW))
    wait_for(place.begun(2, step=8))
    kill(process.pid, signal.SIGSTOP)
    time.sleep(4)
    kill(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and "silent" not in out, err
    place.check(2, STEPS)
    assert again(place) == 0


def test_an_endless_loop_is_ended_and_tried_again(place: Place) -> None:
    stem = f"{place.folder}/once-"
    done = place.sweep(
        *place.run("--trials", "2", *EVERY, "--silence", "2", mode="loop_once", stem=stem, steps=5, seconds=0.1)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("silent for 2 s at training") == 2
    place.check(2, 5)


def test_hung_is_not_slow(place: Place) -> None:
    """An evaluation that computes for four times the limit, and says nothing, is left alone."""
    done = place.sweep(*place.run("--trials", "2", *EVERY, "--silence", "1", evaluation=4, steps=5))
    assert done.returncode == 0, done.stderr
    assert "silent" not in done.stdout
    place.check(2, 5)


def test_a_trial_that_takes_too_long_has_failed(place: Place) -> None:
    done = place.sweep(*place.run("--trials", "2", *EVERY, "--trial-timeout", "2", mode="loop", steps=5))
    assert done.returncode == 1, done.stderr
    place.check(2, 5, failed=2)
    assert {trial.user_attrs["reason"] for trial in place.trials()} == {"TrialTimeout"}


def test_cut_checkpoints_and_outboxes_give_way_to_what_was_before(place: Place) -> None:
    process = place.start(*place.run("--trials", "3", *EVERY, **SLOW))
    wait_for(lambda: len(list(place.folder.rglob(checkpoint.PREVIOUS))) == 2)
    family = place.family(process)
    process.kill()
    gone(family, 15)
    newest = place.trial(0) / checkpoint.NAME
    os.truncate(newest, newest.stat().st_size // 2)
    for box in place.trial(1).glob("outbox/*.jsonl"):
        os.truncate(box, box.stat().st_size // 2)
    done = place.sweep("resume", "toy", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "cannot be read, so the one before is used" in (place.trial(0) / "log.txt").read_text()
    place.check(3, STEPS)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which can be filled and made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only the superuser may mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@files_only
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_disk_that_takes_no_more_ends_the_sweep_in_one_sentence(place: Place, small_disk: Path, how: str) -> None:
    """Finished trials are intact, and it goes on when there is room."""
    place.folder = small_disk
    place.stores = {
        "SWEEP_STORAGE": f"sqlite:///{small_disk}/sweeps.db",
        "MLFLOW_TRACKING_URI": f"sqlite:///{small_disk}/mlflow.db",
    }
    settings = {"seconds": 0.05, "steps": 30}
    place.prefix = (
        ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
    )  # may not write everywhere
    process = place.start(*place.run("--trials", "6", *EVERY, "--checkpoint-every", "0.1", **settings))
    wait_for(lambda: list(small_disk.glob(".sweeps/toy/trial-3/checkpoint.pt")))
    filler = small_disk / "filler"
    if how == "full":
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
    else:
        for one in [small_disk / ".sweeps", *small_disk.glob(".sweeps/**/")]:
            one.chmod(0o555)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, (out, err)
    reason = "No space left on device|database or disk is full|disk I/O error"
    if how == "read-only":
        reason = "Permission denied"
    sentence = next(line for line in out.splitlines() if line.startswith("ended early: "))
    assert any(words in sentence for words in reason.split("|")), sentence
    assert "Traceback" not in out + err, err
    if how == "full":
        filler.unlink()
    else:
        for one in [small_disk / ".sweeps", *small_disk.glob(".sweeps/**/")]:
            one.chmod(0o755)
    finished = [trial for trial in place.trials() if trial.state.is_finished()]
    assert len(finished) >= 2 and all(trial.values for trial in finished)
    done = place.sweep("resume", "toy", "--workers", "2")
    assert done.returncode == 0, (done.stdout, done.stderr)
    place.check(6, 30)


@servers_long
def test_a_trainer_without_memory_is_an_outcome_and_the_next_trial_is_clean(place: Place) -> None:
    done = place.sweep(*place.run("--trials", "2", *EVERY, mode="hungry", steps=5))
    assert done.returncode == 1, done.stderr
    outcomes = [(trial.user_attrs["outcome"], trial.state.name) for trial in place.trials()]
    assert outcomes == [("out_of_memory", "PRUNED")] * 2
    assert all(trial.constraints["infeasible"] > 0 for trial in place.trials())
    assert place.runs()["trial 1"].data.tags["reason"] == "RuntimeError"


@pytest.mark.parametrize(
    ("place", "kills"),
    [
        ("files", 50),
        pytest.param("servers", 50, marks=pytest.mark.long),
        pytest.param("files", int(os.environ.get("SWEEP_TEST_KILLS", "500")), marks=pytest.mark.long),
    ],
    indirect=["place"],
)
def test_chaos(place: Place, kills: int) -> None:
    """A random process of the sweep is killed at a random moment, over and over; then it is let to its end."""
    chance = random.Random(kills)
    total, steps, interval = 2 * kills // 3, 60, 0.3
    # Chance may kill three workers of a trial at the same checkpoint, which by default is what a failed trial does.
    limits = ("--checkpoint-every", str(interval), "--deaths", str(kills))
    place.start(
        *place.run("--trials", str(total), "--pruner", "none", "--workers", "2", *limits),
        *("--set", "seconds=0.05", "--set", f"steps={steps}", "--set", "journal=journal"),
    )
    wait_for(place.workers)
    killed: Counter[str] = Counter()
    while killed.total() < kills:
        time.sleep(chance.uniform(0.0, 1.2))
        process = place.processes[-1]
        assert process.poll() is None, ("there is time for all kills", process.communicate())
        kind = chance.choice(["supervisor", "worker", "worker", "server", "server"])
        workers = list(place.workers().values())
        servers = [one.pid for one in place.family(process) if one.pid not in workers]
        targets = {"supervisor": [process.pid], "worker": workers, "server": servers}[kind]
        if not targets:
            continue
        try:
            kill(chance.choice(targets))
        except ProcessLookupError:
            continue
        killed[kind] += 1
        if kind == "supervisor":
            process.communicate()
            place.start("resume", "toy", "--workers", "2", *limits)
            wait_for(place.workers)
    assert len(killed) == 3, killed
    out, err = place.processes[-1].communicate(timeout=60 + 10 * total)
    if place.processes[-1].returncode:
        done = place.sweep("resume", "toy", "--workers", "2")
        assert done.returncode == 0, (out, err, done.stderr)
    place.check(total, steps)
    most = interval / 0.05 + 4
    for seed, found in computed(place).items():
        lives = 1 + sum(now <= before for before, now in zip(found, found[1:], strict=False))
        assert len(found) - len(set(found)) <= (lives - 1) * most, seed


@files_only
def test_the_tracking_server_goes_away_and_comes_back(
    place: Place, mlflow_server: Callable[..., MlflowServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle, back after trials have begun and ended: training did not wait, and everything is there once."""
    server = mlflow_server("sqlite")
    use(place, server, monkeypatch)
    process = place.start(*place.run("--trials", "8", *EVERY, **SLOW))
    wait_for(place.begun(2, step=10))
    server.stop(signal.SIGKILL)
    wait_for(place.begun(4, step=5))
    out_of_reach = place.sweep("show", "toy").stdout
    assert out_of_reach.count("complete") == 2
    server.start()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "could not be delivered" not in out
    place.check(8, STEPS)
    gaps = [now - before for times in paces(place).values() for before, now in zip(times, times[1:], strict=False)]
    assert sorted(gaps)[-3] < 5 * STEP, "no step waited for the server"
    times = [m.timestamp for m in place.mlflow().get_metric_history(place.runs()["trial 2"].info.run_id, "noise")]
    assert max(times) - min(times) > 0.8 * STEPS * STEP * 1000, "each point has its own time"
    for run in place.runs().values():
        assert run.info.run_name == "toy" or len(place.mlflow().list_artifacts(run.info.run_id, "images")) == 2


@files_only
def test_a_tracking_server_that_stays_away_gets_everything_later(
    place: Place, mlflow_server: Callable[..., MlflowServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = mlflow_server("sqlite")
    use(place, server, monkeypatch)
    process = place.start(*place.run("--trials", "3", *EVERY, **SLOW))
    wait_for(place.begun(2, step=10))
    server.stop(signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "3/3 finished" in out and "deliver them later:  " in out and " sync toy" in out
    assert [trial.state.name for trial in place.trials()] == ["COMPLETE"] * 3
    refused = place.sweep("sync", "toy")
    assert refused.returncode == 2 and "Connection refused" in refused.stderr
    server.start()
    done = place.sweep("sync", "toy")
    assert done.returncode == 0, done.stderr
    assert "kB delivered to" in done.stdout
    place.check(3, STEPS)
    assert "nothing waits" in place.sweep("sync", "toy").stdout


def use(place: Place, server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record on this server."""
    place.stores |= {"MLFLOW_TRACKING_URI": server.address, **server.environment}
    for name, value in place.stores.items():
        monkeypatch.setenv(name, value)


def paces(place: Place) -> dict[str, list[float]]:
    """When each step was computed, by trial."""
    times: dict[str, list[float]] = defaultdict(list)
    for line in (place.folder / "journal").read_text().splitlines():
        times[line.split()[0]].append(float(line.split()[2]))
    return times


@servers_long
def test_interruptions_and_workers_leave_no_trace_in_a_deterministic_sweep(place: Place) -> None:
    """One worker, two, three; uninterrupted, and killed at a random moment, once or twice."""
    chance, found = random.Random(1), {}
    for workers, kills in ((1, 0), (2, 1), (3, 2)):
        name = f"with-{workers}"
        settings = ("--set", "seconds=0.1", "--set", "steps=6", "--checkpoint-every", "0.2", "--deterministic")
        process = place.start("run", QUADRATIC, "--name", name, "--trials", "9", "--workers", str(workers), *settings)
        for _ in range(kills):
            wait_for(lambda name=name: list(place.folder.glob(f".sweeps/{name}/trial-*/worker.json")))
            time.sleep(chance.uniform(0.5, 2.0))
            process.kill()
            process.communicate()
            process = place.start("resume", name, "--workers", str(workers), "--checkpoint-every", "0.2")
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        trials = place.trials(name)
        samples = [
            (place.folder / f".sweeps/{name}/trial-{trial.number}/samples.png").read_bytes()
            for trial in trials
            if trial.state.name == "COMPLETE"
        ]
        found[workers] = [(trial.params, trial.values, trial.state) for trial in trials], samples
    assert found[1] == found[2] == found[3] and len(found[1][0]) == 9
