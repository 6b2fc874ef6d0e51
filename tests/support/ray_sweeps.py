"""The toy sweep on a cluster: its options, what it computed, whether it is whole; and modules of another version."""

import json
import shutil
from pathlib import Path

from orchestrator.launchers.ray import probe
from tests.support import cli
from tests.support.paths import ROOT

TOY = (
    "--name",
    "toy",
    "--trials",
    "3",
    "--pruner",
    "none",
    "--set",
    "steps=40,seconds=0.1",
    "--checkpoint-every",
    "0.5",
)


def whole(name: str, trials: int) -> None:
    """All trials are complete, each report there once."""
    shown = json.loads(cli.sweep("show", name, "--json").stdout)
    assert [trial["outcome"] for trial in shown["every_trial"]] == ["complete"] * trials, shown
    for number in range(trials):
        trial = json.loads(cli.sweep("show", name, str(number), "--json").stdout)
        assert len(trial["reports"]) == 40


def another_package(folder: Path) -> Path:
    """Modules of a version that differs in one line."""
    modules = folder / "package"
    for package in probe.PACKAGES:
        shutil.copytree(ROOT / package, modules / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (modules / "orchestrator" / "layout.py").open("a") as file:
        file.write("# another version\n")
    return modules
