"""A sweep whose trials have ended is killed, interrupted or out of disk before it is closed: the same command closes it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forks import Forked, Forks, ForkServer
from tests.support.paths import ROOT
from tests.support.place import files
from tests.support.stores import dump, query

pytestmark = pytest.mark.slow

STUDY = str(ROOT / "tests" / "toy_studies" / "networks.py")
TOTAL = 3
PUBLISH = "import orchestrator.tracking.publish as owner; name = "
REGISTRY = "import orchestrator.tracking.model_registry as owner; name = "
CLIENT = "from mlflow import MlflowClient as owner; name = "
OUTBOX = "from orchestrator.delivery.outbox import Outbox as owner; name = "
COMPARED = "import orchestrator.tracking.comparison_runs as owner; name = "
CLOSED = "import orchestrator.search.completion as owner; name = "
# What a session does when all trials have ended, in this order. A call is met before or after it is done.
MOMENTS = {
    "the last trial is told": "from orchestrator.search.book import Book as owner; name = 'tell'; call = 3",
    "its files are cleared": "import orchestrator.worker.result as owner; name = 'remove'; after = False",
    "the run is opened again": "from orchestrator.tracking.mlflow_store import MlflowStore as owner; name = 'begin'",
    "figures are to be drawn": PUBLISH + "'finish'; after = False",
    "a figure is drawn": "import orchestrator.figures.canvas as owner; name = 'png'; call = 2",
    "a figure is in the outbox": OUTBOX + "'content'; call = 3",
    "the table is in the outbox": PUBLISH + "'_table'",
    "figures are delivered": CLIENT + "'log_artifact'; call = 3",
    "the record is to be closed": OUTBOX + "'end'; after = False",
    "the record is closed on disk": OUTBOX + "'end'",
    "the run is to be closed": CLIENT + "'set_terminated'; after = False",
    "the run is closed": CLIENT + "'set_terminated'",
    "the best trial is tagged": PUBLISH + "'deliver_now'",
    "the best trial is marked": PUBLISH + "'mark'",
    "the network is exported": REGISTRY + "'_export'",
    "the model is made": CLIENT + "'create_logged_model'",
    "the model is an output of its run": CLIENT + "'log_outputs'",
    "the model is uploaded": CLIENT + "'log_model_artifacts'",
    "the model is whole": CLIENT + "'finalize_logged_model'",
    "the registry has its name": CLIENT + "'create_registered_model'",
    "the registry has the model": CLIENT + "'create_model_version'",
    "the model is the champion": CLIENT + "'set_registered_model_alias'",
    "the champion is noted": PUBLISH + "'champion'",
    "the sweep is to be closed": CLOSED + "'close'; after = False",
}
CHECK = {"the sweep is closed": CLOSED + "'close'"}
OF_A_COMPARISON = {
    "figures are to be drawn": PUBLISH + "'finish'; after = False",
    "an arm is closed on disk": OUTBOX + "'end'; call = 1",
    "another arm is closed on disk": OUTBOX + "'end'; call = 2",
    "an arm is closed": CLIENT + "'set_terminated'; call = 1",
    "the verdict is to be made": COMPARED + "'report'; after = False",
    "the verdict is in the outbox": OUTBOX + "'note'; call = 1",
    "the verdict is delivered": COMPARED + "'deliver_now'; call = 1",
    "an arm's means are delivered": COMPARED + "'deliver_now'; call = 2",
    "the sweep is to be closed": CLOSED + "'close'; after = False",
}
FAULT = """
def strike():
    import os, signal
    after, call = True, 1
    {moment}
    original, calls = getattr(owner, name), []
    def struck(*arguments, **more):
        calls.append(name)
        if len(calls) == call and not after:
            {fault}
        result = original(*arguments, **more)
        if len(calls) == call and after:
            {fault}
        return result
    setattr(owner, name, struck)
strike()
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
TERMINATED = "os.kill(os.getpid(), signal.SIGTERM)"
INTERRUPTED = "os.kill(os.getpid(), signal.SIGINT)"
TWICE = f"{INTERRUPTED}; {INTERRUPTED}"
FULL = "exec(FILL)"
FILL = """
FILL = '''
with open("filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(b"x" * 4096)
    except OSError:
        pass
'''
"""


def script(moment: str, fault: str) -> str:
    """Python that has the ``fault`` happen at a ``moment``."""
    return FILL + FAULT.format(moment=moment, fault=fault)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Runs a whole sweep, so that all is imported."""
    opened = ForkServer(tmp_path_factory.mktemp("output") / "output")
    folder = tmp_path_factory.mktemp("imports")
    first = run(Forks(opened, folder, files(folder)))
    assert first.status == 0, first.output
    yield opened
    opened.close()


@pytest.fixture
def forks(server: ForkServer, folder: Path) -> Forks:
    """Commands in an empty folder, with both stores as files."""
    return Forks(server, folder, files(folder))


def run(forks: Forks, *arguments: str, fault: str = "") -> Forked:
    return forks.sweep(
        "run", STUDY, "--name", "toy", "--trials", str(TOTAL), "--workers", "0", *arguments, script=fault
    )


def test_a_sweep_killed_at_any_moment_after_its_last_trial_is_closed_by_the_next_command(forks: Forks) -> None:
    """Each moment once, one after another in one sweep, by `resume` and `run`."""
    for number, (moment, where) in enumerate(MOMENTS.items()):
        command = run(forks, fault=script(where, KILLED)) if number % 2 == 0 else resume(forks, script(where, KILLED))
        assert command.status == -9, (moment, command.output)
        if number in (0, len(MOMENTS) - 1):
            not_complete(forks)
    closes(forks, "resume")
    assert query("select count(*) from logged_models") == query("select count(*) from model_versions") == [(1,)]
    assert query("select count(*) from inputs where source_type = 'RUN_OUTPUT'") == [(1,)]
    assert resume(forks, script(CHECK["the sweep is closed"], KILLED)).status == 0, "nothing is left to be killed in"


def test_a_comparison_killed_at_any_moment_after_its_last_trial_is_closed_by_sync(forks: Forks) -> None:
    for number, (moment, where) in enumerate(OF_A_COMPARISON.items()):
        fault = script(where, KILLED)
        if number == 0:
            arms = ("--vary", "steps=2,3", "--seeds", "2", "--name", "toy", "--workers", "0")
            command = forks.sweep("compare", STUDY, *arms, script=fault)
        else:
            command = forks.sweep("sync", "toy", script=fault)
        assert command.status == -9, (moment, command.output)
    closes(forks, "sync", runs=7)
    (verdict,) = query("select value from tags where key = 'mlflow.note.content' and value like '%steps=2%seed%'")[:1]
    assert verdict


@pytest.mark.parametrize(
    ("fault", "status"), [(INTERRUPTED, 0), (TERMINATED, 0), (TWICE, 130)], ids=["Ctrl-C", "SIGTERM", "Ctrl-C twice"]
)
def test_one_signal_lets_the_sweep_be_closed_and_a_second_one_leaves_it_for_later(
    forks: Forks, fault: str, status: int
) -> None:
    """After figures are drawn, and in the export of the champion."""
    chosen = ["the table is in the outbox", "the network is exported"]
    for moment in chosen if status else chosen[:1]:
        done = run(forks, fault=script(MOMENTS[moment], fault))
        assert done.status == status, (moment, done.output)
        assert "Aborted" not in done.output and ("Go on with:  sweep resume toy" in done.output) == bool(status)
    if status:
        not_complete(forks)
    closes(forks, "resume", work=bool(status))


def test_a_figure_and_a_champion_that_cannot_be_made_are_named_and_the_rest_is_closed(forks: Forks) -> None:
    broken = "raise ValueError('values of no kind')"
    figure = "import orchestrator.figures.sweep as owner; name = 'history'"
    export = "import mlflow.pytorch as owner; name = 'save_model'"
    done = run(forks, fault=script(figure, broken) + script(export, broken))
    assert done.status == 0 and "Traceback" not in done.output, done.output
    assert "the figure history could not be drawn (values of no kind)" in done.output
    assert "the best network could not be registered as a model (values of no kind)" in done.output
    assert "toy is complete" in resume(forks).output
    found = forks.sweep("doctor", "toy", "--repair")
    assert found.status == 0 and "its best trial is not the champion → registered" in found.output, found.output
    closes(forks, "resume", work=False)
    assert any(path.name == "slices.png" for path in Path("mlruns").rglob("*.png"))


def test_a_tracker_that_goes_away_is_waited_for_by_the_next_command(forks: Forks) -> None:
    """At each of its answers: what is not in it yet is delivered later, and the sweep is complete only then."""
    for moment in (
        "figures are delivered",
        "the best trial is tagged",
        "the model is made",
        "the registry has the model",
    ):
        away = "raise __import__('mlflow').exceptions.MlflowException('the tracker is away')"
        gone = FAULT.replace("len(calls) == call", "len(calls) >= call").format(moment=MOMENTS[moment], fault=away)
        done = run(forks, fault=gone)
        assert done.status == 0 and "the tracker is away" in done.output, (moment, done.output)
        not_complete(forks)
    closes(forks, "resume")


def test_a_total_that_is_raised_opens_the_sweep_and_closes_it_again(forks: Forks) -> None:
    assert run(forks).status == 0
    more = ("resume", "toy", "--trials", str(TOTAL + 1), "--workers", "0")
    assert forks.sweep(*more, script=script(MOMENTS["figures are to be drawn"], KILLED)).status == -9
    not_complete(forks, TOTAL + 1)
    report = forks.sweep("doctor", "toy")
    assert report.status == 1 and "completed, as `sweep resume toy` does" in report.output, report.output
    repaired = forks.sweep("doctor", "toy", "--repair")
    assert repaired.status == 0, repaired.output
    closes(forks, "resume", total=TOTAL + 1, work=False)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, which can be filled."""
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("only the superuser may mount a file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_is_full_in_the_last_seconds_loses_nothing(
    server: ForkServer, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without room for what is exported: the sweep is complete when there is room again."""
    monkeypatch.chdir(small_disk)
    forks = Forks(server, small_disk, files(small_disk))
    for moment in ("figures are to be drawn", "the table is in the outbox", "the network is exported"):
        done = run(forks, fault=script(MOMENTS[moment], FULL))
        assert "Traceback" not in done.output, (moment, done.output)
        os.unlink("filler")
        not_complete(forks)
    closes(forks, "resume")


def resume(forks: Forks, fault: str = "") -> Forked:
    return forks.sweep("resume", "toy", "--workers", "0", script=fault)


def not_complete(forks: Forks, total: int = TOTAL) -> None:
    """All trials have ended, and no command says that the sweep is complete."""
    shown = forks.sweep("show", "toy", "--json").output
    assert f'"finished": {total}' in shown and '"state": "closing"' in shown, shown
    assert "closing" in forks.sweep("list").output
    assert "sweep resume toy" in forks.sweep("show", "toy").output.replace("python -m orchestrator", "sweep")


def closes(forks: Forks, *command: str, total: int = TOTAL, runs: int = 0, work: bool = True) -> None:
    """The command closes the sweep; given once more it says so and changes no row. ``work``: something is to be done."""
    done = forks.sweep(*command, "toy")
    assert done.status == 0 and "Traceback" not in done.output, done.output
    if command[0] == "resume":
        assert ("is complete: it has all of its" in done.output) != work, done.output
    assert '"state": "idle"' in forks.sweep("show", "toy", "--json").output
    whole = forks.sweep("doctor", "toy")
    assert whole.status == 0 and "toy: whole" in whole.output, whole.output
    assert {status for (status,) in query("select status from runs")} == {"FINISHED"}
    assert query("select count(*) from runs") == [(runs or total + 1,)]
    assert query("select count(*) from tags where key = 'best' and value = 'yes'") == [(1,)]
    left = [str(path) for path in Path(".sweeps").rglob("*") if path.suffix in (".part", ".jsonl", ".pt")]
    assert not left, left
    before = rows()
    again = forks.sweep("resume", "toy")
    assert again.status == 0 and "toy is complete: it has all of its" in again.output, again.output
    assert forks.sweep("sync", "toy").status == 0
    assert rows() == before


def rows() -> list[str]:
    """Both stores but who drives."""
    return [row for name in ("sweeps.db", "mlflow.db") for row in dump(name) if "'driver'" not in row]
