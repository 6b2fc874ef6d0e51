"""Reports are read away from the sweep: what they say is what the trials did, and they need nothing from elsewhere."""

import base64
import io
import random
import re
import shutil
import xml.etree.ElementTree
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from click.testing import CliRunner
from PIL import Image

from orchestrator import text
from orchestrator.analysis import importance
from orchestrator.cli import main as cli
from orchestrator.figures import timeline
from orchestrator.reports import findings
from orchestrator.reports import sweep as report
from orchestrator.search import book as books
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial, from_optuna
from orchestrator.stores import optuna_storage
from orchestrator.terminal import tables
from tests.support import variables
from tests.support.bench import Bench
from tests.support.paths import QUADRATIC

PARTS = [
    "The answer",
    "How the search went",
    "What mattered",
    "Samples",
    "Distances",
    "What failed, and why",
    "What it cost",
    "Run it again",
    "All trials",
]


class Page(HTMLParser):
    """Text, headings, rows and pictures of a page; whatever would be loaded from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.headings, self.sources, self.elsewhere = "", [""], list[str](), list[str]()
        self.rows: list[list[str]] = []
        self.inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.sources.append(given["src"] or "")
            assert given["alt"], "a picture that cannot be seen is told in words"
        elif tag not in ("meta", "br", "link"):
            self.inside.append(tag)
        if tag in ("script", "link", "iframe", "object"):
            self.elsewhere.append(tag)
        self.elsewhere += [value or "" for name, value in attrs if name in ("href", "src") and "://" in (value or "")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag, "elements are closed in their order"

    def handle_data(self, data: str) -> None:
        if "style" not in self.inside:
            self.text += data
        if self.inside and self.inside[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self.inside and self.inside[-1] == "h2":
            self.headings[-1] += data

    def kinds(self) -> set[str]:
        """Of the pictures, each decoded."""
        found = set()
        for source in self.sources:
            kind, _, content = source.partition(";base64,")
            found.add(kind.removeprefix("data:image/"))
            if kind.endswith("svg+xml"):
                xml.etree.ElementTree.fromstring(base64.b64decode(content))
            else:
                Image.open(io.BytesIO(base64.b64decode(content))).load()
        return found


def sweep(*arguments: str) -> str:
    done = CliRunner().invoke(cli.main, [*arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return str(done.output)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two sweeps, in one of which settings diverge, and a comparison."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("place"))
        variables.unset(patch)
        inline = ["--workers", "0", "--set", "steps=3"]
        sweep(
            "run", QUADRATIC, "--name", "left", "--trials", "14", "--sampler", "random", "--set", "mode=left", *inline
        )
        sweep("run", QUADRATIC, "--name", "other", "--trials", "3", "--seed", "5", "--pruner", "none", *inline)
        sweep(
            "compare",
            QUADRATIC,
            "--name",
            "arms",
            "--vary",
            "x=0.3,0.9",
            "--seeds",
            "3",
            "--set",
            "jitter=0.1",
            *inline,
        )
        yield Path()


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    """The sweep in which settings below 0 diverge."""
    return books.load(optuna_storage.connect("sqlite:///sweeps.db"), "left")


def test_a_report_answers_and_holds_all_that_it_shows(here: Book) -> None:
    said = sweep("report", "left")
    assert re.search(r"report of left: left.html, 0\.\d MB", said)
    page = Page(Path("left.html").read_text())
    assert page.headings[1:] == PARTS and not page.elsewhere and not page.inside
    assert page.kinds() == {"svg+xml", "png"}
    done = here.best(20)
    best, lost = done[0], [trial for trial in here.finished() if trial.params["x"] < 0]
    assert (
        f"Trial {best.number} is the best of {len(done)} completed trials: distance {best.values[0]:.4g}" in page.text
    )
    assert f"{len(lost)} trials could not run to the end: {len(lost)} runaway." in page.text
    assert "They differ significantly from the completed ones in x (median -" in page.text
    assert "<p>" not in page.text and here.spec.command in page.text
    for trial in lost:
        assert [str(trial.number), "diverged", "runaway", "runaway at step 2: it was told to"] in page.rows
    of_best = next(row for row in page.rows if row[0] == str(best.number) and row[1] == "complete")
    assert of_best[2] == f"{best.values[0]:.4g}"
    assert ["distance", *(f"{done[i].values[0]:.4g}" for i in (0, len(done) // 2, -1))] in page.rows, "from MLflow"


def test_the_commands_of_a_report_are_understood(here: Book) -> None:
    for command in [
        findings.surer(here, importance.shares(here.optuna_study)),
        *(said.splitlines()[1] for said in findings.again(here)[2:3]),
    ]:
        arguments = [*command.removeprefix(text.program()).split(), "--dry-run"]
        assert CliRunner().invoke(cli.main, arguments, catch_exceptions=False).exit_code == 0


def test_a_report_without_mlflow_says_what_is_left_out(here: Book) -> None:
    elsewhere = Path("elsewhere.db").absolute()
    page = Page(
        report.write(Book(here.optuna_study, here.spec.model_copy(update={"tracking_uri": f"sqlite:///{elsewhere}"})))
    )
    assert "What only MLflow knows is left out of this report: there is nothing of it at" in page.text
    assert [name for name in PARTS if name != "Distances"] == page.headings[1:]
    assert not elsewhere.exists()


def test_two_sweeps_side_by_side(here: Book) -> None:
    sweep("report", "left", "other", "-o", "two.html")
    page = Page(Path("two.html").read_text())
    assert not page.elsewhere and page.kinds() == {"svg+xml", "png"}
    other = books.load(optuna_storage.connect("sqlite:///sweeps.db"), "other")
    a, b = (one.best()[0].values[0] for one in (here, other))
    winner = "A" if a < b else "B"
    assert f"{winner} has the better best trial: distance {a:.4g} in A, {b:.4g} in B." in page.text
    assert ["seed", "0", "5"] in page.rows and ["mode", "left", "good"] in page.rows
    assert not any(row[0] == "steps" for row in page.rows if len(row) == 3), "they have the same"
    assert ["trials", "14", "3"] in page.rows


def test_the_report_of_a_comparison_is_its_verdict(here: Book) -> None:
    sweep("report", "arms")
    page = Page(Path("arms.html").read_text())
    assert page.headings[1:3] == ["The answer", "Samples of the arms"] and not page.elsewhere
    assert "The best mean distance is" in page.text and "x=0.3 is significantly better than x=0.9" in page.text
    (tested,) = (row for row in page.rows if row[0] == "x=0.3 against x=0.9")
    assert tested[1] == "3" and float(tested[3]) < 0.05


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lft"], "no sweep 'lft' here; did you mean left?"),
        (["left", "left"], "left is one sweep"),
        (["left", "-o", "left.pdf"], "what is written is a .html file; name it so"),
        (["left", "-o", "no/left.html"], "there is no folder"),
    ],
)
def test_what_cannot_be_reported_is_refused(here: Book, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(cli.main, ["report", *arguments])
    assert done.exit_code == 2 and words in done.output


def test_a_sweep_whose_study_is_gone_still_has_a_report(here: Book) -> None:
    shutil.copy(QUADRATIC, "gone.py")
    sweep("run", "gone.py", "--name", "gone", "--trials", "2", "--workers", "0")
    Path("gone.py").unlink()
    sweep("report", "gone")
    assert (
        "Trial 0 is the best" in Page(Path("gone.html").read_text()).text or "Trial 1" in Path("gone.html").read_text()
    )


def test_a_sweep_with_nothing_to_show_has_a_report_all_the_same(bench: Bench) -> None:
    book = bench.book(trials=3, set=["mode=crash"])
    begun = Page(report.write(book))
    assert "there is no answer yet" in begun.text and "No trial has ended yet." in begun.text
    bench.drive(book)
    page = Page(report.write(book))
    assert "No trial was completed" in page.text and "3 trials failed: 3 RuntimeError." in page.text
    assert page.kinds() == {"svg+xml"} and ["2", "failed", "RuntimeError", "RuntimeError: it was told to"] in page.rows


def test_tables_of_trials_have_all_objectives(bench: Bench) -> None:
    spec = bench.book().spec.model_copy(update={"objectives": [("fid", "minimize"), ("accuracy", "maximize")]})
    ended = [Trial(0, values=(1.25, 0.9812)), Trial(1, state="pruned", outcome="diverged")]
    book: Any = SimpleNamespace(spec=spec, trials=lambda: ended, best=lambda: ended[:1], notes=dict)
    (table,) = report._trials(book).tables
    assert table.head[:5] == ["trial", "outcome", "fid", "accuracy", "time"]
    assert [row[:4] for row in table.rows] == [["0", "complete", "1.25", "0.9812"], ["1", "diverged", "", ""]]
    columns = {str(column.header): list(column.cells) for column in tables.trials(book).columns}
    assert columns["fid ↓"] == ["★ 1.25", ""] and columns["accuracy ↑"] == ["0.9812", ""]


def searched(n: int, noise: float) -> list[Trial]:
    """Trials whose value goes with x, and not with y, beside noise."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        x, kind = trial.suggest_float("x", 1, 100, log=True), trial.suggest_categorical("kind", ["a", "b"])
        return x + 50 * (kind == "b") + noise * trial.suggest_float("y", 0, 1)

    study.optimize(objective, n_trials=n)
    return [from_optuna(trial) for trial in study.trials]


def test_what_predicts_the_objective_is_told_from_what_does_not() -> None:
    trials = searched(60, 1.0)
    known = importance.explained(trials)
    assert known is not None and known > 0.7
    effects = {one.name: one for one in importance.effects(trials, ["x", "kind", "y"], "lower")}
    assert effects["x"].p < 1e-3 and "lower values went with better results" in effects["x"].text
    assert effects["kind"].p < 0.05 < effects["y"].p
    assert "higher values" in importance.effects(trials, ["x"], "higher")[0].text
    chance = random.Random(0)
    shuffled = [replace(trial, values=(chance.random(),)) for trial in trials]
    nothing = importance.explained(shuffled)
    assert nothing is not None and nothing < 0.15
    assert importance.explained(trials[:8]) is None and not importance.effects(trials[:8], ["x"], "lower")


def test_settings_of_lost_trials_stand_out_only_where_they_differ() -> None:
    lost = [{"a": 10.0 + i, "b": i % 3, "c": "x", "d": True} for i in range(8)]
    kept = [{"a": 1.0 + i / 10, "b": (i + 1) % 3, "c": "y", "d": False} for i in range(8)]
    assert importance.apart(lost, kept) == ["a (median 13.5, of completed ones 1.35)"]
    assert importance.apart(lost[:2], kept) == []


def test_breaks_are_left_out_of_the_time_at_work() -> None:
    times = [(100, 110), (105, 125), (1000, 1007)]
    trials = [
        Trial(number, began=datetime.fromtimestamp(began), ended=datetime.fromtimestamp(ended))
        for number, (began, ended) in enumerate(times)
    ]
    assert [span[1:3] for span in timeline.spans([*trials, Trial(3, state="running")])] == [(0, 10), (5, 25), (25, 32)]
