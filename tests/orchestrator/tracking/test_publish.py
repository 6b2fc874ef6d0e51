"""What is made of a sweep that has ended: its page, and a best network that nothing can be made of."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from orchestrator.cli import main as cli
from orchestrator.delivery.outbox import Outbox
from orchestrator.stores import sqlite
from orchestrator.tracking import publish
from tests.support.bench import Bench

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


def test_pictures_that_would_crowd_the_page_are_files_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    book = bench.book(trials=4)
    bench.drive(book)
    kept: list[str] = []
    monkeypatch.setattr(Outbox, "content", lambda outbox, path, content: kept.append(path))
    outbox = Outbox(Path(book.spec.folder))
    shown = publish.finish(book, outbox, print)
    assert {"best_samples.png", "figures/history.png", "figures/slices.png", "figures/parallel.png"} <= set(shown)
    assert kept == [*shown, "trials.csv"], "all of a small search fit"
    kept.clear()
    monkeypatch.setattr(publish, "PAGE", 700)
    assert "figures/history.png" not in publish.finish(book, outbox, print), "750 pixels"
    assert kept == [*shown, "trials.csv"]
    outbox.close()
