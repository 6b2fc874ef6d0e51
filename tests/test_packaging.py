"""pyproject.toml, constraints.txt, conda.yaml, MLproject, README and .ci/run agree, and the commands of MLproject work."""

import ast
import importlib.metadata
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import studies
from tests.support import pins as pins_file
from tests.support.paths import PROJECT, ROOT
from tests.support.pins import PINS, applies

PACKAGES = ("orchestrator", "models", "samplers", "studies")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MLFLOW_PARTS = {"mlflow-skinny", "mlflow-tracing"}  # not asked for by name, but of one version with mlflow

CONDA: dict[str, Any] = yaml.safe_load((ROOT / "conda.yaml").read_text())


def runtime() -> dict[str, Requirement]:
    return named(PROJECT["dependencies"])


def direct() -> dict[str, Requirement]:
    """All that pyproject.toml asks for, with every extra."""
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    requirements = named([*PROJECT["dependencies"], *extras])
    requirements.pop(PROJECT["name"])  # an extra that contains another
    return requirements


def named(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def pins(python: str) -> dict[str, Version]:
    """The pinned versions under a version of Python."""
    versions: dict[str, Version] = {}
    for pin in map(Requirement, PINS):
        if applies(pin, python):
            assert canonicalize_name(pin.name) not in versions, f"{pin.name} is pinned twice for Python {python}"
            versions[canonicalize_name(pin.name)] = exact(pin)
    return versions


def exact(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    assert specifier.operator == "==" and "*" not in specifier.version, f"{requirement} is no exact pin"
    version = Version(specifier.version)
    assert version.local is None, f"{requirement}: the public index has no local versions"
    return version


def test_ci_types_the_set_up_lines_of_readme() -> None:
    """README's first console block holds the two lines that set everything up. .ci/run must type them letter for letter."""
    (block, *_) = re.findall(r"^```console\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    main_job, tests = block.splitlines()
    assert main_job.endswith("mlflow run . -e ebm_sweep --env-manager local") and "pytest" in tests
    assigned = re.findall(r'^\w+="(.*)"$', (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert {main_job, tests} <= set(assigned)


def test_readme_lists_each_study_with_its_entry_point_and_question() -> None:
    rows = re.findall(r"^\| \[`(\w+)`\]\(\S+\) \| `(\w+)` \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {name: (entry, question) for name, entry, question in rows} == {
        name: (f"{name}_sweep", " ".join(studies.load(name).question.split())) for name in studies.names()
    }


def conda_python() -> str:
    return next(line for line in CONDA["dependencies"] if str(line).startswith("python=")).removeprefix("python=")


def test_constraints_and_conda_hold_the_one_list_of_pins() -> None:
    """pip cannot read [tool.uv] and MLflow reads conda.yaml only: both are copies. `python -m tests.support.pins` writes them."""
    environment = (ROOT / "conda.yaml").read_text()
    assert (ROOT / "constraints.txt").read_text() == pins_file.constraints()
    assert environment == pins_file.conda(environment)


def test_a_changed_pin_reaches_both_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = ["torch==99.1" if pin.startswith("torch==") else pin for pin in PINS]
    monkeypatch.setattr(pins_file, "PINS", changed)
    shutil.copy(ROOT / "conda.yaml", tmp_path)
    pins_file.write(tmp_path)
    assert "torch==99.1\n" in (tmp_path / "constraints.txt").read_text()
    listed = yaml.safe_load((tmp_path / "conda.yaml").read_text())["dependencies"][2]["pip"]
    assert "torch==99.1" in listed and len(listed) == len(PROJECT["dependencies"])


@pytest.mark.parametrize("python", PYTHONS)
def test_each_direct_dependency_is_pinned_within_its_range(python: str) -> None:
    required = {name: requirement for name, requirement in direct().items() if applies(requirement, python)}
    pinned = pins(python)
    assert pinned.keys() == required.keys() | MLFLOW_PARTS
    outside = [str(line) for name, line in required.items() if not line.specifier.contains(pinned[name])]
    assert not outside
    assert {pinned[part] for part in MLFLOW_PARTS} == {pinned["mlflow"]}


def test_conda_yaml_is_what_every_environment_manager_understands() -> None:
    """python, pip and a pip list: uv and virtualenv drop the rest with a warning. `-e .` is no Requirement."""
    python, pip, packages = CONDA["dependencies"]
    assert re.fullmatch(r"python=3\.\d+\.\d+", python), "a patch version, or pyenv tries to build the newest one"
    assert pip == "pip"
    assert packages.keys() == {"pip"}
    assert SpecifierSet(PROJECT["requires-python"]).contains(conda_python())


def test_conda_yaml_holds_each_runtime_dependency_once_at_its_pin() -> None:
    listed = [Requirement(line) for line in CONDA["dependencies"][2]["pip"]]
    names = [canonicalize_name(requirement.name) for requirement in listed]
    assert sorted(names) == sorted(runtime())
    pinned = pins(".".join(conda_python().split(".")[:2]))
    versions = {name: exact(requirement) for name, requirement in zip(names, listed, strict=True)}
    assert versions == {name: pinned[name] for name in names}
    assert all(line.marker is None and not line.extras and line.url is None for line in listed)


def test_what_the_packages_import_is_declared() -> None:
    """A package that is there only because another one brings it is gone the day that one drops it."""
    declared, providers = runtime(), importlib.metadata.packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT)}: {module}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for module in imported(ast.parse(path.read_text()))
        if module not in (*PACKAGES, *sys.stdlib_module_names)
        and not any(
            canonicalize_name(provider)
            in {*declared, *of_extra(path.stem), *of_extra(path.parent.name)}  # its own room
            for provider in providers.get(module, [module])
        )
    }
    assert not undeclared


def of_extra(name: str) -> set[str]:
    """What an extra asks for; none of that name asks for nothing."""
    lines = PROJECT["optional-dependencies"].get(name, [])
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imported(tree: ast.AST) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            modules.add(node.module.partition(".")[0])
    return modules


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLproject, as MLflow itself reads it."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.projects._project_spec import load_project

    return load_project(str(ROOT))


ENTRY_POINTS = list(yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"])


WITHOUT_BUFFER = "start=mixture,sampler=langevin,fresh_share=1"
JEM_ABLATION = ["compare", "jem", "--vary", "start=noise,mixture sampler=langevin,proximal", "--arm", WITHOUT_BUFFER]
# Entry points beside those of a study alone: most compare what the study's own would search, with all in which they differ.
COMPARISONS = {
    "gan_vs_wgan": ["compare", "gan", "--vary", "loss=bce,wgan"],
    "jem_ablation": JEM_ABLATION,
    "practice_1_unconditional": [
        *["compare", "ebm", "--vary", "start=noise,replay schedule=constant,geometric", "--seeds", "1"],
        *["--set", "coupled=true,fresh_share=0.05,noise_start=0.01,noise_end=0.001,network_evaluations=4000"],
    ],
    "practice_1_conditional": ["compare", "conditional_ebm", "--vary", "wrong_label_weight=0,10", "--seeds", "3"],
    "practice_4": ["compare", "gan", "--vary", "loss=bce,wgan,wgan_gp", "--seeds", "3"],
    "fashion_gan_003": ["run", "fashion_003"],
    "predictions_and_weights": [
        *["compare", "diffusion", "--vary", "prediction=epsilon,v,clean weight=simple,min_snr", "--seeds", "3"],
    ],
    "realnvp_vs_glow": ["compare", "flow", "--vary", "mixing=convolution,checkerboard", "--seeds", "3"],
    "ae_vs_vae": ["compare", "vae", "--vary", "latent=gaussian,none", "--seeds", "3"],
    "practice_3": [
        *["compare", "dvae", "--vary", "embedding=spectral,none", "--seeds", "3"],
        *["--set", "width=16,blocks=1,updates=600,plain=false"],
        *["--set", "prior_updates=200,clustered_images=10000,codes_images=0"],
    ],
    "practice_2": [*JEM_ABLATION, "--seeds", "1"],
}
DOWNLOADED = (
    "mnist",
    "cifar10",
    "mnist,fashion_mnist",
    "fashion_mnist:80/20",
)  # default data of entry points that tests cannot have


def bare_command(entry_point: str) -> list[str]:
    """What a user types for the same without MLflow."""
    study = "ebm" if entry_point == "main" else entry_point.removesuffix("_sweep")
    return COMPARISONS.get(entry_point, ["run", study])


def arguments(project: Any, entry_point: str, **given: str) -> list[str]:
    """What reaches `python -m orchestrator` when MLflow starts an entry point through the shell."""
    command = shlex.split(project.get_entry_point(entry_point).compute_command(given, None))
    assert command[:3] == ["python", "-m", "orchestrator"]
    return command[3:]


def _plan(output: str) -> list[str]:
    """What a dry run prints, without the time, which is estimated anew each time."""
    return [line for line in output.splitlines() if "if no trial is pruned" not in line]


def test_mlproject_names_the_environment_and_the_entry_points(project: Any) -> None:
    assert len((ROOT / "MLproject").read_text().splitlines()) <= 49 + len(ENTRY_POINTS)
    assert set(ENTRY_POINTS) == {"main", *COMPARISONS, *(f"{study}_sweep" for study in studies.names())}
    assert project.env_type == "conda_env"
    assert project.env_config_path == str(ROOT / "conda.yaml")


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_an_entry_point_passes_each_parameter_to_an_option_of_its_name(project: Any, entry_point: str) -> None:
    from orchestrator.cli import main as cli

    parameters = project.get_entry_point(entry_point).parameters
    given = {name: f"value of {name}, it's quoted" for name in parameters}
    command, study, *options = arguments(project, entry_point, **given)
    assert (command, study) == (bare_command(entry_point)[0], given.pop("study"))
    assert dict(zip(options[::2], options[1::2], strict=True)) == {f"--{name}": value for name, value in given.items()}
    known = {flag for parameter in cli.main.commands[command].params for flag in parameter.opts}
    assert set(options[::2]) <= known


def test_a_searched_parameter_is_held_by_set_or_by_fix(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from orchestrator.cli import main as cli

    monkeypatch.chdir(tmp_path)
    held, fixed = (
        CliRunner().invoke(cli.main, [*arguments(project, "ebm_sweep", **{name: "start=noise"}), "--dry-run"])
        for name in ("set", "fix")
    )
    assert held.exit_code == 0 and "= noise (held)" in held.output and _plan(held.output) == _plan(fixed.output)


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_an_entry_point_given_nothing_plans_what_the_bare_command_plans(
    project: Any, entry_point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty value means "not given", and the defaults of MLproject are those of the command line."""
    from click.testing import CliRunner

    from orchestrator.cli import main as cli
    from orchestrator.supervisor import estimate
    from tests.support.timing import timed_here

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "_timed_elsewhere", timed_here)
    for name in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "SWEEP_DATA", "SWEEP_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    study = studies.load(bare_command(entry_point)[1])
    begins_trained = bool(study.model_of)
    more = ["--model", "champion"] if begins_trained else []
    more += ["--data", "digits"] if study.data in DOWNLOADED else []
    downloaded = project.get_entry_point(entry_point).parameters["data"].default in DOWNLOADED
    data = {"data": "digits"} if downloaded else {}
    through_mlflow, bare = (
        CliRunner().invoke(cli.main, [*command, "--dry-run"], catch_exceptions=False)
        for command in (arguments(project, entry_point, **data), [*bare_command(entry_point), *more])
    )
    assert through_mlflow.exit_code == (2 if begins_trained else 0), through_mlflow.output
    assert ("no sweep here has trained one" in through_mlflow.output) == begins_trained
    assert _plan(through_mlflow.output) == _plan(bare.output)
