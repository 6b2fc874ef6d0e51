"""Trials on a cluster of two nodes, the second a machine of its own: the contract of launchers, and sweeps as on one machine."""

import json
import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("ray") is None:
    pytest.skip("Ray is not installed: pip install 'generative-sweeps[ray]'", allow_module_level=True)

from orchestrator.delivery.memory import Record  # noqa: E402
from orchestrator.devices import Resources  # noqa: E402
from orchestrator.launchers.local import LocalLauncher  # noqa: E402
from orchestrator.launchers.protocol import Died  # noqa: E402
from orchestrator.launchers.ray.launcher import RayLauncher  # noqa: E402
from orchestrator.layout import CHECKPOINT, MODEL, WEIGHTS, trial_folder  # noqa: E402
from orchestrator.messages import Ended, Placed, Report, Saved  # noqa: E402
from orchestrator.supervisor.limits import Limits  # noqa: E402
from tests.support import machines, ray_nodes  # noqa: E402
from tests.support.bench import PATIENT, Bench, toy_task  # noqa: E402
from tests.support.launching import hear_all  # noqa: E402
from tests.support.machines import Machine  # noqa: E402
from tests.support.paths import QUADRATIC  # noqa: E402
from tests.support.processes import wait_for, wait_until_gone  # noqa: E402
from tests.support.ray_nodes import Cluster  # noqa: E402

TWO = Resources(("cpu",) * 2, 1)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Where no machine of its own can be made, the second node is another process, perhaps without our disk."""
    folder = tmp_path_factory.getbasetemp()
    with ray_nodes.cluster(cpus=1) as made:
        if machines.available():
            made.add(machine=Machine(hidden=[folder]))
        else:
            made.add(hidden=folder if ray_nodes.mounts() else None)
        yield made


@pytest.fixture(scope="module")
def launcher(nodes: Cluster) -> Iterator[RayLauncher]:
    made = RayLauncher(TWO, QUADRATIC, address=nodes.address)
    yield made
    made.close()


def by_number(bench: Bench, name: str) -> list[tuple[int, dict[str, Any], Any, str]]:
    return sorted(bench.trials(name), key=lambda trial: trial[0])


def said(record: Record) -> list[tuple[int, str, float]]:
    """What a trial recorded, without how long it took."""
    return sorted(point for point in record.points if not point[1].startswith("seconds/"))


def test_a_trial_is_heard_to_its_end_and_says_where_it_is(launcher: RayLauncher, folder: Path) -> None:
    said = hear_all(launcher, launcher.launch(toy_task(folder)))
    assert [message.index for message in said if isinstance(message, Report)] == [1, 2, 3, 4, 5]
    assert isinstance(said[-1], Ended) and said[-1].outcome == "complete"
    assert len([message for message in said if isinstance(message, Placed)]) == 1


def test_a_reply_prunes(launcher: RayLauncher, folder: Path) -> None:
    said = hear_all(launcher, launcher.launch(toy_task(folder)), lambda report: "prune" if report.index == 2 else "go")
    assert isinstance(said[-1], Ended) and said[-1].outcome == "pruned"
    assert len([message for message in said if isinstance(message, Report)]) == 2


def test_a_trial_that_was_stopped_goes_on_from_its_checkpoint_on_any_node(launcher: RayLauncher, folder: Path) -> None:
    task = toy_task(folder, seconds=0.05, steps=100)
    job = launcher.launch(task)
    job.reply("stop")
    said = hear_all(launcher, job)
    assert isinstance(said[-1], Ended) and said[-1].outcome == "stopped"
    (saved,) = [message for message in said if isinstance(message, Saved)]
    assert (folder / "trial-0" / "checkpoint.pt").exists()
    said = hear_all(launcher, launcher.launch(task))
    assert next(message.step for message in said if isinstance(message, Saved)) == saved.step
    assert isinstance(said[-1], Ended) and said[-1].outcome == "complete"
    assert len([message for message in said if isinstance(message, Report)]) >= 100 - saved.step


def test_the_same_seeds_give_the_same_trials_and_values_as_on_one_machine(bench: Bench, launcher: RayLauncher) -> None:
    options: dict[str, Any] = {"trials": 6, "deterministic": True, "set": ["jitter=1"]}
    here, there = bench.book(name="here", **options), bench.book(name="there", **options)
    local = LocalLauncher(TWO, QUADRATIC)
    bench.drive(here, launcher=local)
    local.close()
    bench.drive(there, launcher=launcher)
    assert by_number(bench, "here") == by_number(bench, "there")
    assert len(by_number(bench, "here")) == 6
    for number in range(6):
        assert said(bench.record(here, number)) == said(bench.record(there, number))


def test_all_that_a_trial_leaves_comes_from_its_node(bench: Bench, launcher: RayLauncher, nodes: Cluster) -> None:
    book = bench.book(trials=4, name="files")
    bench.drive(book, launcher=launcher)
    hosts = set()
    for number in range(4):
        folder, record = trial_folder(book.spec.folder, number), bench.record(book, number)
        assert [step for step, key, _ in record.points if key == "distance"] == [1, 2, 3, 4, 5]
        assert record.status == "FINISHED" and (5, "samples/fresh") in record.pngs
        assert (folder / WEIGHTS).stat().st_size > 0
        assert json.loads((folder / MODEL).read_text())["study"] == QUADRATIC, "it names no path of the node"
        assert sorted(path.name for path in folder.iterdir()) == [MODEL, "outbox", "samples.png", WEIGHTS]
        hosts.add(record.tags["node"])
    assert hosts <= {node["NodeID"] for node in launcher.cluster.nodes()}


def test_trials_that_find_no_place_are_demand_that_an_autoscaler_sees(launcher: RayLauncher, nodes: Cluster) -> None:
    """Up to as many more as there are places, and none when no trials are left for them."""
    from ray.autoscaler.v2.sdk import get_cluster_status

    def demand() -> float:
        status = get_cluster_status(nodes.address)
        return sum(
            shape.count for asked in status.resource_demands.ray_task_actor_demand for shape in asked.bundles_by_count
        )

    def count(trials: int) -> int:
        launcher.counted = 0.0
        return launcher.places(trials)

    launcher.most = 10
    try:
        assert (count(10), len(launcher.slots)) == (2, 4)
        wait_for(lambda: demand() == 2)
        assert (count(3), len(launcher.slots)) == (2, 3) and (count(1), len(launcher.slots)) == (1, 1)
        wait_for(lambda: demand() == 0)
        assert (count(2), len(launcher.slots)) == (2, 2)
    finally:
        launcher.most, launcher.spare = 0, 0


def test_a_worker_that_dies_is_followed_by_three_at_most(bench: Bench, launcher: RayLauncher) -> None:
    book = bench.book(trials=1, name="dying", set=["mode=broken"])
    _, supervisor = bench.drive(book, launcher=launcher)
    assert supervisor.status.counts["failed"] == 1
    (trial,) = book.trials()
    assert len({death.how.split()[-1] for death in trial.deaths}) == 1 and len(trial.deaths) == 3


def test_a_trial_whose_actor_hears_sigterm_leaves_with_a_checkpoint(
    launcher: RayLauncher, nodes: Cluster, folder: Path
) -> None:
    def terminated(report: Report) -> str:
        if report.index == 10:
            for actor in [process for node in nodes.nodes for process in node.actors()]:
                actor.terminate()
        return "go"

    task = toy_task(folder, seconds=0.05, steps=100)
    with pytest.raises(Died, match="told to leave by a signal") as caught:
        hear_all(launcher, launcher.launch(task), terminated)
    assert caught.value.lost and (folder / "trial-0" / CHECKPOINT).exists()
    said = hear_all(launcher, launcher.launch(task))
    assert next(message.step for message in said if isinstance(message, Saved)) >= 10


def test_a_trial_whose_node_is_lost_goes_on_elsewhere_from_its_checkpoint(
    bench: Bench, launcher: RayLauncher, nodes: Cluster
) -> None:
    """It is not counted as a death, and each value is recorded once."""
    book = bench.book(trials=2, name="losing", set=["steps=40", "seconds=0.1"], pruner="none")
    lost: list[int] = []

    with bench.supervisor(book, Limits(checkpoint=0.3, silence=None), launcher) as supervisor:

        def interrupt() -> str:
            far = [
                trial
                for trial in supervisor.status.running.values()
                if trial.job.slot is not None  # type: ignore[attr-defined]
                and trial.job.slot.where.address != launcher_address(nodes)  # type: ignore[attr-defined]
            ]
            if not lost and far and supervisor.places.get(far[0].number, 0) >= 5:
                lost.append(far[0].number)
                nodes.nodes[1].lose()
            return ""

        assert supervisor.drive(None, interrupt) == ""
    assert lost and supervisor.status.counts["complete"] == 2
    assert all(not trial.deaths for trial in book.trials())
    (event,) = [event for event in supervisor.status.events if "goes on from step" in event]
    assert int(event.split("step ")[1].split(":")[0]) >= 5 and "lost" in event
    for number in range(2):
        points = bench.record(book, number).points
        assert [step for step, key, _ in points if key == "distance"] == list(range(1, 41)), "each once, none missing"


@pytest.mark.long
def test_a_node_that_hears_sigterm_is_left_with_checkpoints_and_no_step_is_computed_twice(
    bench: Bench, launcher: RayLauncher, nodes: Cluster, folder: Path
) -> None:
    far, journal = nodes.nodes[1], folder / "journal"
    node = far if far.process.returncode is None else nodes.add()
    book = bench.book(trials=2, name="pre-empted", set=["steps=40", "seconds=0.1", f"journal={journal}"], pruner="none")
    with bench.supervisor(book, PATIENT, launcher) as supervisor:

        def interrupt() -> str:
            lines = journal.read_text().splitlines() if journal.exists() else []
            if len({line.split()[0] for line in lines}) == 2 and len(lines) >= 10:
                os.kill(node.process.pid, signal.SIGTERM)
            return ""

        assert supervisor.drive(None, interrupt) == ""
    assert supervisor.status.counts["complete"] == 2 and all(not trial.deaths for trial in book.trials())
    (event,) = [event for event in supervisor.status.events if "is being taken away" in event]
    assert "goes on from step" in event and "from step 0" not in event
    steps = [line.split()[:2] for line in journal.read_text().splitlines()]
    assert len(steps) == 80 and len({tuple(step) for step in steps}) == 80
    wait_until_gone(node.family)


def launcher_address(nodes: Cluster) -> str:
    """The head's, on which this process is."""
    return nodes.address.rpartition(":")[0]
