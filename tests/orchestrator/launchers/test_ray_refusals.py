"""What cannot be played on a cluster is refused in one sentence, before anything is made."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orchestrator.devices import Resources
from orchestrator.errors import UserError
from orchestrator.files import CannotWrite
from orchestrator.launchers.ray import cluster, library, workplace
from orchestrator.launchers.ray.cluster import Wanted
from orchestrator.launchers.ray.launcher import RayLauncher
from orchestrator.messages import Ended
from orchestrator.search.trials import Stay, Trial
from orchestrator.supervisor import machine
from orchestrator.supervisor.limits import Limits
from orchestrator.supervisor.machine import Machine
from orchestrator.worker.trial import run_trial
from tests.support import cli
from tests.support.bench import toy_task
from tests.support.paths import QUADRATIC
from tests.support.ray_nodes import free_port
from tests.support.ray_sweeps import another_package

ONE = Resources(("cuda",), 1)
INSTALLED = find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not INSTALLED, reason="Ray is not installed: pip install 'generative-sweeps[ray]'")


def refused(refusal: str, **options: Any) -> None:
    with pytest.raises(UserError) as caught:
        machine.check(options)
    assert refusal in str(caught.value) and "\n" not in str(caught.value)


def test_options_of_the_cluster_need_it_and_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    refused("--gpus 1 is of --launcher ray", gpus=1)
    refused("--ray-address head:1 is of --launcher ray; add that, or leave it out", ray_address="head:1")
    refused("--cpus 2 is of --launcher ray", cpus=2, launcher="local")
    refused("--device cuda:1: with --launcher ray the cluster chooses", launcher="ray", device="cuda:1")
    refused("--device cpu uses no GPU", launcher="ray", device="cpu", gpus=1)
    refused("--gpus 1.5: give a whole number", launcher="ray", gpus=1.5)
    refused("--per-gpu 3 is of --launcher ray", per_gpu=3)
    refused("--resources licence=1 is of --launcher ray", resources=["licence=1"])
    refused("--per-gpu 3 says what each trial has of a GPU; leave out --gpus 1", launcher="ray", per_gpu=3, gpus=1)
    refused("leave out --device cpu", launcher="ray", per_gpu=3, device="cpu")
    refused("--resources GPU=1: say --gpus", launcher="ray", resources={"GPU": 1})
    refused("a cluster of this machine alone has none", launcher="ray", resources={"licence": 1})
    for pair in ("licence", "licence=", "licence=0", "licence=1.5", "=1", "licence=nan", "licence=inf"):
        refused(f"--resources {pair}: give NAME=NUMBER", launcher="ray", resources=[pair])
    refused("--workers 0 runs trials in this process", launcher="ray", workers=0) if INSTALLED else None


def test_an_address_in_the_environment_does_no_harm_to_other_launchers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:1")
    assert machine.check({"launcher": "local"})["launcher"] == "local"
    assert machine.check({"ray_address": "head:1"})["launcher"] is None, "as `mlflow run` passes it on"


def test_an_address_where_nobody_answers_is_refused_at_once() -> None:
    refused("nobody answers there", launcher="ray", ray_address=f"127.0.0.1:{free_port()}")
    refused("give HOST:PORT of the cluster's head", launcher="ray", ray_address="ray://head:10001")
    refused("give HOST:PORT, as `ray start --head` prints it", launcher="ray", ray_address="head")


def test_without_ray_the_extra_is_named() -> None:
    code = (
        "import sys\nsys.modules['ray'] = None\n"
        "from orchestrator.launchers.ray import library\nfrom orchestrator.errors import UserError\n"
        "try:\n    library.library()\nexcept UserError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'generative-sweeps[ray]'" in said


def test_a_launcher_that_cannot_begin_leaves_its_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    left: list[str] = []
    joined = SimpleNamespace(close=lambda: left.append("cluster"))
    monkeypatch.setattr(cluster, "connect", lambda wanted: joined)
    monkeypatch.setattr(library, "library", lambda: SimpleNamespace(put=len))
    with pytest.raises(CannotWrite, match="Not a directory"):
        RayLauncher(Resources(("cpu",), 1), QUADRATIC, address="head:1", cache=str(tmp_path / "file" / "cache"))
    assert left == ["cluster"]


def test_how_many_trials_fit_into_a_node() -> None:
    assert Wanted("", 2, 0.5).fits({"CPU": 8, "GPU": 1}) == 2
    assert Wanted("", 3, 0).fits({"CPU": 8}) == 2
    assert Wanted("", 0.1, 0.1).fits({"CPU": 1, "GPU": 0.3}) == 3, "shares of floats are not rounded down"
    assert Wanted("", 1, 1).fits({"CPU": 8}) == 0
    assert Wanted("", 1, 1 / 3).fits({"CPU": 8, "GPU": 2}) == 6, "--per-gpu 3"
    assert Wanted("", 1, 0, {"licence": 1}).fits({"CPU": 8, "licence": 2}) == 2
    assert Wanted("", 1, 0, {"licence": 1}).fits({"CPU": 8}) == 0


def test_a_folder_of_a_node_that_others_may_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace.tempfile, "gettempdir", lambda: str(tmp_path))  # type: ignore[attr-defined]
    root = workplace.root()
    assert workplace.slot().parent == root and root.stat().st_mode & 0o077 == 0
    (root / "slot-999999999-1").mkdir()
    workplace.slot()
    assert [path.name.split("-")[1] for path in root.iterdir()] == [str(os.getpid())], "what the dead left is removed"
    root.chmod(0o777)
    with pytest.raises(RuntimeError, match="you alone may write to"):
        workplace.root()


class Known(cluster.Cluster):
    """A cluster whose nodes are known."""

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Resources": {"CPU": 2.0}}, {"Resources": {"CPU": 4.0, "GPU": 1.0}}]


def test_resources_that_no_node_has_are_refused() -> None:
    with pytest.raises(UserError, match="has 8 CPUs for a trial: the most are 4 CPUs and 1 GPU on one of 2 nodes"):
        Known("head:6379", None).check(Wanted("head:6379", 8, 0))
    with pytest.raises(
        UserError, match="has 1 CPU and 2 licence for a trial: .* and 0 licence on .* or --resources, or add"
    ):
        Known("head:6379", None).check(Wanted("head:6379", 1, 0, {"licence": 2}))


def test_trials_that_need_more_of_a_gpu_than_their_share_are_refused() -> None:
    trials = [Trial(0, stays=(Stay("gpu-1 GPU 0", 0, 1, gpu_memory=0.2), Stay("gpu-1 GPU 1", 1, 2, gpu_memory=0.41)))]
    for per_gpu in (1, 2):
        machine.check_memory(Machine("ray", ONE, Limits(), settings={"gpus": 1 / per_gpu}), trials)
    machine.check_memory(Machine("local", ONE, Limits()), trials)
    with pytest.raises(UserError, match="has had 41% of its GPU's memory, so 3 on each do not fit; take --per-gpu 2"):
        machine.check_memory(Machine("ray", ONE, Limits(), settings={"gpus": 1 / 3}), trials)


def test_a_trial_says_how_much_of_its_gpu_it_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cuda = {
        "is_initialized": lambda: True,
        "max_memory_reserved": lambda device: 30,
        "get_device_properties": lambda device: SimpleNamespace(total_memory=120),
    }
    for name, stand_in in cuda.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    for device, share in (("cpu", 0.0), ("cuda:0", 0.25)):
        (tmp_path / device).mkdir()
        task = toy_task(tmp_path / device).model_copy(update={"device": device})
        *_, end = run_trial(task)
        assert isinstance(end, Ended) and end.gpu_memory == share


@needs_ray
@pytest.mark.long
def test_a_wrong_token_resources_and_versions_are_refused_before_anything_is_made(folder: Path, tmp_path: Path) -> None:
    from tests.support import ray_nodes

    with ray_nodes.cluster(cpus=1) as nodes:
        options = ("run", QUADRATIC, "--launcher", "ray", "--ray-address", nodes.address)
        wrong = cli.sweep(*options, variables=nodes.variables | {"RAY_AUTH_TOKEN": "0" * 32})
        assert (wrong.returncode, "wants another token" in wrong.stderr) == (2, True), wrong.stderr
        large = cli.sweep(*options, "--cpus", "64", variables=nodes.variables)
        assert (large.returncode, "has 64 CPUs for a trial" in large.stderr) == (2, True), large.stderr
        licence = cli.sweep(*options, "--resources", "licence=1", variables=nodes.variables)
        assert (licence.returncode, "has 1 CPU and 1 licence" in licence.stderr) == (2, True), licence.stderr
        assert len(wrong.stderr.splitlines()) == 1
        for modules, refusal in (
            (another_package(tmp_path), "another version of generative-sweeps"),
            (another_python(tmp_path), "has Python 3.9.0, and this machine has"),
        ):
            node = nodes.add(modules=modules)
            mixed = cli.sweep(*options, variables=nodes.variables)
            assert (mixed.returncode, refusal in mixed.stderr) == (2, True), mixed.stderr
            assert len(mixed.stderr.splitlines()) == 1
            node.leave()
        assert not (folder / ".sweeps").exists()


def another_python(folder: Path) -> Path:
    """Modules with which Python says another version of itself."""
    modules = folder / "python"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text("import platform\nplatform.python_version = lambda: '3.9.0'\n")
    return modules
