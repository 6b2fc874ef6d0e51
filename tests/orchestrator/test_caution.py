"""A FID of few images is shown nowhere without the sentence that says so."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from orchestrator.cli.main import main
from orchestrator.reports import pair
from orchestrator.reports import sweep as reports
from orchestrator.search import combinations, plan
from orchestrator.search.options import request
from orchestrator.terminal import ending
from orchestrator.tracking import descriptions
from tests.models.data.written import write_folder
from tests.support.bench import Bench

SENTENCE = (
    "FID is of 7 real and 256 new images, too few for the 64 features of the judge: it is high and mostly chance; add"
)


def test_a_plan_on_few_images_says_so_and_on_many_it_does_not(bench: Bench, tmp_path: Path) -> None:
    few = write_folder(tmp_path / "few", {"a": 22, "b": 22})
    spec = plan.resolve(request("ebm", data=few, trials=1), bench.storage)
    assert spec.caution.startswith(SENTENCE)
    assert any(note.startswith(SENTENCE) for note in combinations.notes(spec, spec.load_study()))
    changed = plan.resolve(request("ebm", trials=1, set=["evaluation_samples=32"]), bench.storage)
    assert "32 new images" in changed.caution and "raise evaluation_samples above 64" in changed.caution
    assert plan.resolve(request("ebm", trials=1), bench.storage).caution == ""


def test_it_stands_beside_the_numbers(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    book = bench.book(trials=2)
    book.update(caution=SENTENCE)
    bench.drive(book)
    for words in (["show", "toy"], ["show", "toy", "1"]):
        assert SENTENCE in CliRunner().invoke(main, words, catch_exceptions=False).output
    shown = CliRunner().invoke(main, ["show", "toy", "--json"], catch_exceptions=False).output
    assert json.loads(shown)["caution"] == SENTENCE
    ending.best(book, Console(width=300))
    assert SENTENCE in capsys.readouterr().out
    assert SENTENCE in descriptions.sweep(book, "")
    assert all(SENTENCE in bench.record(book, trial.number).description for trial in book.trials())
    assert SENTENCE in reports.write(book)
    other = bench.book(name="other", trials=1)
    bench.drive(other)
    assert f"B: {SENTENCE}" in pair.write(other, book)
