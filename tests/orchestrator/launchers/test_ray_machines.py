"""Faults of whole machines: power, a full disk, another version. Totals are exact."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support import cli, machines, ray_nodes
from tests.support.faults import computed
from tests.support.machines import Machine
from tests.support.paths import QUADRATIC
from tests.support.place import Place, files
from tests.support.processes import Process
from tests.support.ray_nodes import Cluster, Node
from tests.support.ray_sweeps import TOY, another_package, whole
from tests.support.servers import MlflowServer

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

    def begun(*options: str, **variables: str) -> Process:
        address = ("--launcher", "ray", "--ray-address", nodes.address)
        settings = ("--set", f"journal={journal}", "--set", f"gate={gate}")
        return start("run", QUADRATIC, *address, *TOY, *settings, *options, **variables)

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


def test_a_node_that_cannot_reach_mlflow_does_not_need_to(
    join: Callable[..., Node],
    begin: Callable[..., Process],
    mlflow_server: Callable[..., MlflowServer],
    folder: Path,
    journal: Path,
    gate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The supervisor delivers what trials say. The server listens on the loopback of the supervisor's machine alone."""
    server, node = mlflow_server(), join()
    assert node.machine is not None
    ask = f"import urllib.request; urllib.request.urlopen('{server.address}/health', timeout=9)"
    asked = subprocess.run([*node.machine.enter(), sys.executable, "-c", ask], capture_output=True, text=True)
    assert "Connection refused" in asked.stderr
    process = begin("--tracking-uri", server.address, **server.environment)
    process.wait_for(ahead(journal))  # one on each node
    gate.touch()
    process.finish()
    assert process.returncode == 0 and "3/3 finished" in process.stdout, process.output
    stores = files(folder) | {"MLFLOW_TRACKING_URI": server.address} | server.environment
    for name, value in stores.items():
        monkeypatch.setenv(name, value)
    place = Place(folder, stores)
    place.check(3, 40)
    hosts = {run.data.tags["host"].split()[0] for name, run in place.runs().items() if name != "toy"}
    assert node.machine.name in hosts and len(hosts) == 2


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
    """After 90 s the trial is played elsewhere, and what the machine still does changes nothing."""
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
    assert "was lost" in process.stdout or seconds < 90
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
