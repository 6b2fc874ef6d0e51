"""What is made of a sweep that has ended: here, a best network that nothing can be made of."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from orchestrator import cli, sqlite

STUDY = """
from dataclasses import replace
import torch
from tests.toy_studies import quadratic

class Stubborn(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("x", torch.zeros(()))

    def forward(self, images):
        raise RuntimeError("it will not be exported")

STUDY = replace(quadratic.STUDY, restore=lambda config, shape: Stubborn())
"""


@pytest.mark.usefixtures("folder")
def test_a_network_that_cannot_be_exported_costs_the_champion_alone() -> None:
    Path("stubborn.py").write_text(STUDY)
    done = CliRunner().invoke(cli.main, ["run", "stubborn.py", "--name", "toy", "--trials", "2", "--workers", "0"])
    assert done.exit_code == 0, done.output
    assert "the best network could not be registered as a model (" in done.output and "Traceback" not in done.output
    assert "champion   " not in done.output and "best trials" in done.output
    client = MlflowClient(sqlite.absolute("sqlite:///mlflow.db"))  # a relative one is kept for the whole process
    runs = [run for one in client.search_experiments() for run in client.search_runs([one.experiment_id])]
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    assert list(Path(".sweeps/toy").glob("trial-*/weights.safetensors"))
