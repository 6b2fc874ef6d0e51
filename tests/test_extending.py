"""CONTRIBUTING.md is right: a family, a launcher and a figure are added to a copy of the project as it says, and work.

A family is one folder in `models/`, one file in `studies/` and one line in `MLproject`; a launcher or a figure is one file
and one line in its registry.
"""

import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.cli import command
from tests.support.paths import ROOT
from tests.support.processes import Process, python

pytestmark = pytest.mark.slow

FAMILY = {
    "__init__.py": "",
    "config.py": '''
from pydantic import BaseModel, Field


class Config(BaseModel, frozen=True, extra="forbid"):
    """How far from 0.3 to stand."""

    x: float = Field(0.5, ge=-1, le=1, description="where to stand")
''',
    "networks.py": '''
import torch
from torch import nn

from models.toy.config import Config


def network(config: Config, shape: tuple[int, int, int]) -> nn.Module:
    """One parameter, which begins at x."""
    module = nn.Module()
    module.register_parameter("x", nn.Parameter(torch.tensor(config.x)))
    return module
''',
    "divergence.py": '''
from models.events import Diverged


def check(step: int, value: float) -> None:
    """Far away is lost."""
    if value > 100:
        raise Diverged("far_away", step, f"the distance is {value}")
''',
    "training.py": """
from collections.abc import Generator, Mapping
from typing import Any

from models.env import Env
from models.events import Checkpoint, Event, Progress, Scalars
from models.toy import divergence
from models.toy.config import Config
from models.toy.networks import network


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, float]:
    x = float(network(config, (1, 8, 8)).x)
    for step in range(resume["step"] if resume else 0, 3):
        x += (0.3 - x) / 2
        divergence.check(step + 1, abs(x - 0.3))
        yield Scalars(step + 1, {"toy/distance": abs(x - 0.3)})
        yield Progress("training", step + 1, 3)
        yield Checkpoint(step + 1, lambda step=step: {"step": step + 1})
    return x
""",
    "evaluation.py": """
from collections.abc import Iterator

import torch

from models.env import Env
from models.events import Event, Images, Weights


def report(x: float, env: Env) -> Iterator[Event]:
    yield Images(3, "samples/fresh", torch.full((4, 1, 8, 8), x))
    yield Weights({"x": torch.tensor(x)})
""",
}
STUDY = '''"""Where is it best to stand?"""

from models.toy.config import Config
from studies import ImageShape, Objective, Study, Suggest, later


def base(shape: ImageShape) -> Config:
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    return base.model_copy(update={"x": suggest.suggest_float("x", -1.0, 1.0)})


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.toy.training:train"),
    report=later("models.toy.evaluation:report"),
    objectives=(Objective("toy/distance"),),
)
'''
ENTRY_POINT = "  toy_sweep: {<<: *search, parameters: {<<: *settings, study: {default: toy}}}\n"
LAUNCHER = '''
from orchestrator.launchers.inline import InlineJob, InlineLauncher
from orchestrator.messages import Task


class ToyLauncher(InlineLauncher):
    """In this process, and it leaves a mark beside each trial."""

    def launch(self, task: Task) -> InlineJob:
        with open(f"{task.folder}/launched-by-toy", "w"):
            return super().launch(task)
'''
FIGURE = '''
from matplotlib.figure import Figure

from orchestrator.figures.canvas import blank
from orchestrator.figures.subject import Subject


def values(subject: Subject) -> Figure | None:
    """The values of completed trials, one after another; None before there are two."""
    values = [trial.values[0] for trial in subject.completed]
    if len(values) < 2:
        return None
    figure = blank(5, 3, "toy")
    figure.subplots().plot(values)
    return figure
'''
FIGURE_LINE = (
    '    "toy": SweepFigure("toy:values", "search", "all, from two completed trials on", "One value after another."),\n'
)


def insert(path: Path, after: str, line: str) -> None:
    """Add one line to a file, behind the line that begins with ``after``."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (place,) = [number for number, text in enumerate(lines) if text.startswith(after)]
    path.write_text("".join([*lines[: place + 1], line, *lines[place + 1 :]]), encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the three added, and a sweep of the new study by the new launcher."""
    folder = tmp_path_factory.mktemp("project")
    for package in ("orchestrator", "studies", "models", "samplers"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("MLproject", "conda.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)

    (folder / "models" / "toy").mkdir()
    for name, text in FAMILY.items():
        (folder / "models" / "toy" / name).write_text(text.lstrip())
    (folder / "studies" / "toy.py").write_text(STUDY)
    insert(folder / "MLproject", "  ebm_sweep:", ENTRY_POINT)

    (folder / "orchestrator" / "launchers" / "toy.py").write_text(LAUNCHER.lstrip())
    registry = folder / "orchestrator" / "launchers" / "__init__.py"
    insert(registry, "LAUNCHERS = {", '    "toy": "orchestrator.launchers.toy:ToyLauncher",\n')

    (folder / "orchestrator" / "figures" / "toy.py").write_text(FIGURE.lstrip())
    catalogue = folder / "orchestrator" / "figures" / "catalogue.py"
    insert(catalogue, "FIGURES = {", FIGURE_LINE)

    done = run(folder, command("run", "toy", "--launcher", "toy", "--name", "toy", "--trials", "3", "--pruner", "none"))
    assert "3/3 finished" in done.stdout, done.output
    return folder


def run(folder: Path, line: list[str]) -> Process:
    """A command with the copy's packages."""
    process = Process(line, folder, {"PYTHONPATH": str(folder)}).finish()
    assert process.returncode == 0, process.output
    return process


def test_a_family_is_listed_searched_and_known_to_mlflow(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Where is it best to stand?" in " ".join(run(project, command("studies")).stdout.split())
    assert len(list(project.glob(".sweeps/toy/trial-*/weights.safetensors"))) == 3
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.projects._project_spec import load_project

    line = load_project(str(project)).get_entry_point("toy_sweep").compute_command({"trials": "5"}, None)
    words = shlex.split(line)
    planned = run(project, python(*words[1:], "--dry-run"))
    assert "toy-digits-1 (new)" in planned.stdout and "5" in planned.stdout, planned.output


def test_a_launcher_is_chosen_by_its_name(project: Path) -> None:
    assert len(list(project.glob(".sweeps/toy/trial-*/launched-by-toy"))) == 3


def test_a_figure_is_in_mlflow_and_in_python(project: Path) -> None:
    assert list(project.glob("mlruns/**/artifacts/figures/toy.png"))
    code = "from orchestrator import sweep; print(sweep.load('toy').figure('toy').size)"
    assert run(project, python("-c", code)).stdout.strip() == "(500, 300)"
