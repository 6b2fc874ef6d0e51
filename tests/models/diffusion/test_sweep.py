"""Diffusion models in sweeps: a network is trained, drawn from by the command line, and its samplers are searched."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import studies
from orchestrator.cli import main as cli


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, [*arguments])


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    """A sweep of one trial of a network that knows labels, in a folder of its own with the session's judge."""
    monkeypatch.chdir(tmp_path)
    Path(".sweeps").mkdir()
    Path(".sweeps/cache").symlink_to(cache_folder)
    settings = {**studies.load("diffusion").smallest, "labels": True}
    values = ",".join(f"{name}={value}" for name, value in settings.items())
    done = typed("run", "diffusion", "--name", "toy", "--trials", "1", "--workers", "0", "--set", values)
    assert done.exit_code == 0, done.output


def test_samples_of_a_class_by_other_steps_and_samplers_of_the_champion(trained: None) -> None:
    for options in ([], ["--steps", "3"], ["--class", "7", "--guidance", "2"]):
        done = typed("sample", "toy", "--n", "9", "-o", f"grid{len(options)}.png", *options)
        assert done.exit_code == 0 and "9 images by trial 0 of toy" in done.output, done.output
    assert len({Path(f"grid{n}.png").read_bytes() for n in (0, 2, 4)}) == 3
    for options, words in (
        (["--steps", "21"], "--steps 21: steps=21 is more than timesteps=20"),
        (["--class", "ten"], "--class ten: no such class; there are: 0, 1, 2"),
        (["--class", "10"], "--class 10: label=10: the network knows the classes 0 to 9"),
    ):
        done = typed("sample", "toy", *options)
        assert done.exit_code == 2 and words in done.output, done.output
    done = typed(
        "run",
        "diffusion_sampling",
        "--model",
        "champion",
        "--name",
        "drawn",
        "--trials",
        "2",
        "--workers",
        "0",
        "--set",
        "samples=16",
    )
    assert done.exit_code == 0, done.output
    assert typed("sample", "drawn", "--n", "4", "--steps", "5").exit_code == 0
