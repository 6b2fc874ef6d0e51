"""The one list of figures: what MLflow, the report, Python and the documents show is what stands in it."""

import html
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from orchestrator import sweep
from orchestrator.delivery.outbox import Outbox
from orchestrator.figures import catalogue
from orchestrator.figures.canvas import blank
from orchestrator.figures.catalogue import FIGURES, Subject, SweepFigure
from orchestrator.reports import sweep as report
from orchestrator.tracking import publish
from tests.support.bench import Bench
from tests.support.paths import ROOT


def test_the_documents_name_every_figure() -> None:
    page = (ROOT / "docs" / "reports.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert {name: (applies, caption) for name, applies, caption in rows} == {
        name: (figure.applies, figure.caption) for name, figure in FIGURES.items()
    }


def test_a_new_figure_is_shown_wherever_figures_are(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file that draws it, and one line in the catalogue."""
    book = bench.book(trials=2)
    bench.drive(book)
    toy = ModuleType("orchestrator.figures.toy")
    toy.draw = lambda subject: blank(4, 3, f"{len(subject.book.finished())} trials")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, toy.__name__, toy)
    monkeypatch.setitem(catalogue.FIGURES, "toy", SweepFigure("toy:draw", "endings", "all", "A toy."))
    files: list[str] = []
    monkeypatch.setattr(Outbox, "content", lambda outbox, path, content: files.append(path))
    assert (
        "figures/toy.png" in publish.finish(book, Outbox(Path(book.spec.folder)), print) and "figures/toy.png" in files
    )
    assert isinstance(sweep.Sweep(book, bench.storage).figure("toy"), Image.Image)
    assert "A toy." in report.write(book)
    with pytest.raises(sweep.UserError, match="has no figure other; it has history, .*toy"):
        sweep.Sweep(book, bench.storage).figure("other")


def test_a_report_has_the_captions_of_the_catalogue(bench: Bench) -> None:
    book = bench.book(trials=3)
    bench.drive(book)
    page = html.unescape(report.write(book))
    drawings = catalogue.draw(Subject(book))
    assert {"history", "timeline"} <= drawings.keys() and "comparison" not in drawings
    for name in drawings:
        assert FIGURES[name].caption in page, name


def test_a_sweep_without_trials_has_no_figure(bench: Bench) -> None:
    empty: Any = catalogue.draw(Subject(bench.book(trials=2)))
    assert empty == {}
