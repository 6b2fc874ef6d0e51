"""Faults on a cluster: the supervisor or a raylet is killed, or Ctrl-C. Totals are exact and each value is there once."""

import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support import cli
from tests.support.faults import computed
from tests.support.paths import QUADRATIC
from tests.support.processes import Process, wait_until_gone
from tests.support.ray_sweeps import TOY, whole

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'generative-sweeps[ray]'"),
]


@pytest.fixture
def journal(folder: Path) -> Path:
    return folder / "journal"


def test_a_killed_supervisor_takes_its_cluster_along_and_the_sweep_goes_on_from_checkpoints(
    folder: Path, journal: Path, start: Callable[..., Process]
) -> None:
    options = ("--launcher", "ray", "--workers", "2", *TOY, "--set", f"journal={journal}")
    first = start("run", QUADRATIC, *options)
    first.wait_for(lambda: any(len(steps) >= 20 for steps in computed(journal).values()))
    family = first.family()
    assert any(process.name() == "raylet" for process in family)
    first.kill()
    wait_until_gone(family)
    before = computed(journal)
    again = cli.sweep("resume", "toy", "--launcher", "ray", "--workers", "2")
    assert again.returncode == 0, again.stderr
    whole("toy", 3)
    seed, steps = max(before.items(), key=lambda item: len(item[1]))
    assert computed(journal)[seed][len(steps)] > 5, "it went on from a checkpoint that had arrived"


def test_ctrl_c_leaves_checkpoints_and_no_process(folder: Path, journal: Path, start: Callable[..., Process]) -> None:
    options = ("--launcher", "ray", "--workers", "1", *TOY, "--set", f"journal={journal}")
    first = start("run", QUADRATIC, *options)
    first.wait_for(lambda: any(len(steps) >= 5 for steps in computed(journal).values()))
    family = first.family()
    first.interrupt().finish()
    assert first.returncode == 130 and "resume toy" in first.stdout, first.output
    wait_until_gone(family)
    assert (
        not [*Path("/tmp").glob(f"sweep-ray-{first.pid}-*")] and (folder / ".sweeps/toy/trial-0/checkpoint.pt").exists()
    )
    again = cli.sweep("resume", "toy", "--workers", "1")  # with another launcher: what arrived here is enough
    assert again.returncode == 0, again.stderr
    whole("toy", 3)


def test_the_trials_of_a_node_whose_raylet_is_killed_go_on_elsewhere(
    folder: Path, journal: Path, start: Callable[..., Process]
) -> None:
    from tests.support import ray_nodes

    with ray_nodes.cluster(cpus=1) as nodes:
        far = nodes.add(cpus=1)
        address = ("--launcher", "ray", "--ray-address", nodes.address)
        process = start("run", QUADRATIC, *address, *TOY, "--set", f"journal={journal}")
        process.wait_for(lambda: len([steps for steps in computed(journal).values() if len(steps) >= 12]) == 2)
        os.kill(far.raylet().pid, signal.SIGKILL)
        process.finish()
        assert process.returncode == 0, process.output
        assert "was lost" in process.stdout and "3/3 finished" in process.stdout
        whole("toy", 3)


def test_a_node_that_is_silent_is_lost_and_changes_nothing_when_it_comes_back(
    folder: Path, journal: Path, start: Callable[..., Process]
) -> None:
    """As with a cable that is pulled: all of the node stands still, and goes on when its trial has been played elsewhere."""
    from tests.support import ray_nodes

    with ray_nodes.cluster(cpus=1) as nodes:
        far = nodes.add(cpus=1)
        address = ("--launcher", "ray", "--ray-address", nodes.address)
        process = start("run", QUADRATIC, *address, *TOY, "--set", f"journal={journal}")
        process.wait_for(lambda: len([steps for steps in computed(journal).values() if len(steps) >= 12]) == 2)
        family = far.process.family()
        for member in family:
            member.suspend()
        process.wait_for(lambda: "was lost" in process.stdout)
        for member in family:
            member.resume()
        process.finish()
        assert process.returncode == 0 and "3/3 finished" in process.stdout, process.output
        whole("toy", 3)
