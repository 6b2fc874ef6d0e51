"""Scripts for SLURM, Kubernetes and ssh: well-formed, with a token on both ends, and refused where they could not work."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from orchestrator.cli.main import main
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, environment

# What a batch system would do, done by this machine alone.
SHIMS = {
    "scontrol": '[ "$1" = requeue ] && echo "$@" >> "$PLACES/requeued" || echo "$SLURM_JOB_NODELIST"',
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; echo $$ > "$PLACES/step"; exec "$@"',
    "scancel": 'kill -TERM "$(cat "$PLACES/step")"',
    "ssh": 'shift; exec bash -c "$*"',
    "sweep": f'exec {sys.executable} -m orchestrator "$@"',
    "ray": f'exec {sys.executable} -m ray.scripts.scripts "$@"',
    "python": f'exec {sys.executable} "$@"',
}


def printed(*words: str, refusal: str = "") -> str:
    done = CliRunner().invoke(main, ["cluster", *words])
    assert done.exit_code == (2 if refusal else 0), done.output
    assert refusal in done.output
    return done.output


@pytest.mark.parametrize("kind", [("slurm", "--nodes", "4", "--gpus-per-node", "2"), ("ssh", "--hosts", "one,two")])
def test_scripts_are_bash_and_give_both_ends_a_token(kind: tuple[str, ...]) -> None:
    script = printed(*kind, "--name", "mine", "--", "run", "ebm", "--set", "width=8 batch_size=32")
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    assert "sweep run ebm --set 'width=8 batch_size=32' --name mine --launcher ray" in script
    assert "RAY_AUTH_MODE=token" in script and "secrets.token_hex(32)" in script
    assert not re.search(r"@[A-Z_]+@", script), "all is filled in"


def test_slurm_is_asked_for_what_was_said() -> None:
    lines = printed("slurm", "--nodes", "4", "--gpus-per-node", "2", "--hours", "1.5", "--", "run", "ebm").splitlines()
    assert {"#SBATCH --nodes=4", "#SBATCH --gpus-per-node=2", "#SBATCH --time=1:30:00", "#SBATCH --requeue"} <= {*lines}
    assert not any(
        "partition" in line or "gpus" in line for line in printed("slurm", "--", "run", "ebm").splitlines()[:12]
    )


def test_the_manifest_is_yaml_with_a_token_and_gpus_for_workers_only() -> None:
    job = yaml.safe_load(printed("kubernetes", "--image", "r/s:1", "--gpus-per-node", "2", "--", "run", "ebm"))
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    worker = group["template"]["spec"]["containers"][0]
    assert (job["kind"], group["replicas"], worker["image"]) == ("RayJob", 2, "r/s:1")
    assert worker["resources"]["limits"] == {"cpu": "8", "nvidia.com/gpu": "2"}
    assert "nvidia.com/gpu" not in head["resources"]["limits"]
    assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} <= {entry["name"] for entry in worker["env"]} and worker["env"] == head[
        "env"
    ]


def test_the_command_of_a_manifest_arrives_as_it_was_typed() -> None:
    typed = ("run", "ebm", "--set", "width=8 batch_size=32", "--tracking-uri", 'sqlite:///it\'s "mine": $HOME.db')
    manifest = printed("kubernetes", "--image", "r/s:1", "--name", "mine", "--", *typed)
    bash, flag, script = shlex.split(yaml.safe_load(manifest)["spec"]["entrypoint"])
    assert (bash, flag) == ("bash", "-c")
    words = ["cd", "/sweep", "&&", "sweep", *typed, "--name", "mine", "--launcher", "ray", "--ray-address", "auto"]
    assert shlex.split(script) == words
    assert "tr -d '\\n' | kubectl create secret generic mine-token --from-file" in manifest


def test_what_could_not_start_is_refused() -> None:
    printed("slurm", refusal="say what is to run on it")
    printed("slurm", "--", "show", "toy", refusal="say what is to run on it")
    printed("slurm", "--", "run", "ebm", "--name", "mine", refusal="--name is set by the script")
    printed("slurm", "--name", "My Job", "--", "run", "ebm", refusal="--name My Job")
    printed("ssh", "--", "run", "ebm", refusal="name the machines")
    printed("ssh", "--hosts", "a;touch x,b", "--", "run", "ebm", refusal="'a;touch x' is no name of a machine")
    printed("slurm", "--image", "i", "--", "run", "ebm", refusal="--image is of `sweep cluster kubernetes`")
    printed("slurm", "--", "run", "ebm", "--bogus", "3", refusal="Try 'sweep run --help'")
    printed("slurm", "--", "run", "ebmm", refusal="no study 'ebmm'; did you mean ebm?")
    printed("slurm", "--", "run", "ebm", "--trils", "3", refusal="No such option '--trils'")
    printed(
        "slurm", "--", "run", "ebm", "--set", "widht=3", refusal="--set widht: no such setting; did you mean width?"
    )
    printed("slurm", "--", "run", "dvae", "--sampler", "cmaes", refusal="cmaes searches one objective")
    printed("slurm", "--", "run", "ebm", "--data", "digits,nope", refusal="no data set 'nope'")
    printed("slurm", "--", "run", "ebm", "--device", "cuda:1", refusal="the cluster chooses the GPU")
    printed("slurm", "--", "run", "ebm", "--dry-run", refusal="leave it out behind --")
    printed("slurm", "--", "compare", "ebm", "--vary", "a=1,2", refusal="--vary a: no such setting")


def test_what_only_the_cluster_can_tell_is_not_asked_here() -> None:
    printed("slurm", "--", "run", "ebm", "--data", "folder:/on/the/cluster", "--storage", "postgresql://there/sweeps")
    printed("slurm", "--", "run", "ebm_sampling", "--model", "trained/3")
    assert not [*Path().glob("*.db")]
    printed("kubernetes", "--", "run", "ebm", refusal="name an image")


@pytest.mark.long
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'generative-sweeps[ray]'")
@pytest.mark.parametrize("kind", [("slurm", "--nodes", "2", "--cpus-per-node", "1"), ("ssh", "--hosts", "other")])
def test_scripts_run_a_sweep_on_two_nodes_and_leave_nothing(kind: tuple[str, ...], tmp_path: Path) -> None:
    """With stand-ins for the programs of the batch system, and both nodes on this machine."""
    (tmp_path / "bin").mkdir()
    for name, line in SHIMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    script = printed(*kind, "--name", "both", "--", "run", QUADRATIC, "--trials", "4", "--set", "seconds=0.2")
    (tmp_path / "script").write_text(script)
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "here", "PLACES": str(tmp_path)}
    done = subprocess.run(
        ["bash", "script"],
        cwd=tmp_path,
        env=environment() | job | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4/4 finished" in done.stdout
    assert not (tmp_path / "requeued").exists()
    assert not [*Path("/tmp").glob(f"ray-{os.getpid()}.*")], "folders of nodes go with them"
