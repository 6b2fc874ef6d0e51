"""Faults of whole machines: power and cables, a full disk, a supervisor that goes on elsewhere. Totals are exact."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.launchers.test_ray_faults import TOY, computed, whole
from tests.orchestrator.launchers.test_ray_refusals import another_package
from tests.support import cli, machines, ray_nodes
from tests.support.machines import Machine
from tests.support.paths import QUADRATIC
from tests.support.processes import Process, environment
from tests.support.ray_nodes import Cluster, Node

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'generative-sweeps[ray]'"),
]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    if not machines.available():
        pytest.skip(machines.REFUSAL)
    with ray_nodes.cluster(cpus=1) as made:
        yield made


@pytest.fixture
def journal(folder: Path) -> Path:
    return folder / "journal"


@pytest.fixture
def gate(folder: Path) -> Path:
    return folder / "gate"


@pytest.fixture
def begin(nodes: Cluster, start: Callable[..., Process], journal: Path, gate: Path) -> Callable[..., Process]:
    """Start the toy sweep on the cluster. Its trials wait after 20 of 40 steps until the gate is there."""

    def begun(*options: str) -> Process:
        address = ("--launcher", "ray", "--ray-address", nodes.address)
        return start("run", QUADRATIC, *address, *TOY, "--set", f"journal={journal}", "--set", f"gate={gate}", *options)

    return begun


@pytest.fixture
def join(nodes: Cluster) -> Iterator[Callable[..., Node]]:
    """Have a node join, until the test ends: on a machine of its own, or one with other modules."""
    joined: list[Node] = []

    def add(modules: Path | None = None, **options: Any) -> Node:
        node = nodes.add(modules=modules) if modules else nodes.add(machine=Machine(**options))
        joined.append(node)
        return node

    yield add
    for node in joined:
        node.leave()
        node.close()


def ahead(journal: Path, trials: int = 2) -> Callable[[], bool]:
    return lambda: len([steps for steps in computed(journal).values() if len(steps) >= 12]) == trials


def test_a_machine_joins_and_its_power_is_cut(
    join: Callable[..., Node], begin: Callable[..., Process], journal: Path, gate: Path
) -> None:
    """The journal is on the disk that both see; all else of the trial is not."""
    process = begin()
    process.wait_for(ahead(journal, 1))
    node = join()
    process.wait_for(ahead(journal))  # the number of trials at a time follows the cluster
    (listed,) = json.loads(cli.sweep("list", "--json").stdout)
    assert node.machine is not None and node.machine.name in listed["places"] and len(listed["places"]) == 2
    node.lose()
    gate.touch()
    process.finish()
    assert process.returncode == 0, process.output
    assert f"{node.machine.name} was lost" in process.stdout and "3/3 finished" in process.stdout
    whole("toy", 3)
    shown = json.loads(cli.sweep("show", "toy", "--json").stdout)
    places = [[stay["where"] for stay in trial["places"]] for trial in shown["every_trial"]]
    assert sorted(map(len, places)) == [1, 1, 2] and not any(trial["deaths"] for trial in shown["every_trial"])


def test_a_node_that_joins_with_another_version_is_not_used(
    join: Callable[..., Node], begin: Callable[..., Process], journal: Path, gate: Path, tmp_path: Path
) -> None:
    process = begin()
    process.wait_for(ahead(journal, 1))
    node = join(modules=another_package(tmp_path))
    process.wait_for(node.actors)
    process.wait_for(lambda: not node.actors())
    gate.touch()
    process.finish()
    assert process.returncode == 0 and "3/3 finished" in process.stdout, process.output
    shown = json.loads(cli.sweep("show", "toy", "--json").stdout)
    assert len({stay["where"] for trial in shown["every_trial"] for stay in trial["places"]}) == 1
    whole("toy", 3)


@pytest.mark.parametrize("seconds", [20, 90])
def test_a_cable_is_pulled(
    seconds: int, join: Callable[..., Node], begin: Callable[..., Process], journal: Path, gate: Path
) -> None:
    """For 20 s nothing is lost; after 90 s the trial has been played elsewhere, and the machine changes nothing."""
    node = join()
    assert node.machine is not None
    process = begin()
    process.wait_for(ahead(journal))
    node.machine.pull()
    with pytest.raises(subprocess.TimeoutExpired):  # it is this time that is tried
        process.process.wait(seconds)
    node.machine.plug()
    gate.touch()
    process.finish()
    assert process.returncode == 0 and "3/3 finished" in process.stdout, process.output
    assert ("was lost" in process.stdout) == (seconds == 90)
    whole("toy", 3)


def test_a_full_disk_of_a_machine_costs_no_trial(
    join: Callable[..., Node], begin: Callable[..., Process], journal: Path, tmp_path: Path, gate: Path
) -> None:
    node = join(disk=tmp_path / "disk")
    assert node.machine is not None
    process = begin()
    process.wait_for(ahead(journal))
    fill = ["sh", "-c", f"cat /dev/zero > {tmp_path}/disk/large"]
    subprocess.run([*node.machine.enter(), *fill], capture_output=True)
    gate.touch()
    process.finish()
    assert process.returncode == 0 and "3/3 finished" in process.stdout, process.output
    assert "cannot be written" in process.stdout
    whole("toy", 3)


def test_a_killed_supervisor_is_followed_by_one_on_another_machine(
    nodes: Cluster,
    join: Callable[..., Node],
    begin: Callable[..., Process],
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Stores and checkpoints are where both see them; the sweep's folder is not."""
    shared, own = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("own")
    node = join(hidden=[folder])
    assert node.machine is not None
    stores = {"SWEEP_STORAGE": f"sqlite:///{shared}/sweeps.db", "MLFLOW_TRACKING_URI": f"sqlite:///{shared}/mlflow.db"}
    os.environ.update(stores)
    journal, gate = shared / "journal", shared / "gate"
    try:
        changes = ("--set", f"journal={journal}", "--set", f"gate={gate}")
        process = begin("--checkpoints", str(shared / "checkpoints"), *changes)
        process.wait_for(ahead(journal))
        process.kill()
        before = computed(journal)
        gate.touch()
        resume = cli.command("resume", "toy", "--moved", "--launcher", "ray", "--ray-address", nodes.address)
        again = subprocess.run(
            [*node.machine.enter(own), *resume], env=environment() | stores, capture_output=True, text=True, timeout=300
        )
    finally:
        for name in stores:
            del os.environ[name]
    assert again.returncode == 0, again.stdout + again.stderr
    assert "3/3 finished" in again.stdout
    for seed, steps in before.items():
        assert computed(journal)[seed][len(steps)] > 5, "it went on from a checkpoint"
    assert sorted(set(map(int, (line.split()[1] for line in journal.read_text().splitlines())))) == list(range(1, 41))
