"""Trained networks by name: the best of the newest sweep, of a sweep, a trial's, a run's; and refusals that say what there is."""

import json
import re
import shutil
from pathlib import Path

import pytest

from orchestrator.errors import UserError
from orchestrator.layout import MODEL, WEIGHTS
from orchestrator.repair import removal, search
from orchestrator.search import new_sweep, plan, sampling, steer
from orchestrator.search import trained as pretrained
from orchestrator.search.book import Book
from orchestrator.search.options import request
from tests.support.bench import Bench
from tests.support.paths import QUADRATIC

OF = (QUADRATIC,)


@pytest.fixture
def trained(bench: Bench) -> Book:
    """Three trials, the older sweep's being the better ones."""
    bench.drive(bench.book(name="older", trials=3, fix=["x=0.3"]))
    book = bench.book(name="newer", trials=3)
    bench.drive(book)
    return book


def folder(book: Book, number: int) -> Path:
    return Path(book.spec.folder) / f"trial-{number}"


def test_a_network_has_many_names(bench: Bench, trained: Book) -> None:
    best = trained.best()[0]
    found = folder(trained, best.number), "digits"
    assert pretrained.find("champion", OF, bench.storage) == found
    assert pretrained.find("newer", OF, bench.storage) == found
    assert pretrained.find(f"newer/{best.number}", OF, bench.storage) == found
    (found[0] / "outbox" / "sent.json").write_text(json.dumps({"run": "0123456789abcdef"}))
    assert pretrained.find("01234567", OF, bench.storage) == found
    assert (found[0] / WEIGHTS).exists()
    about = json.loads((found[0] / MODEL).read_text())
    assert about["study"] == QUADRATIC and about["config"]["x"] == best.params["x"]
    (found[0] / MODEL).unlink()
    pretrained.find("champion", OF, bench.storage)
    assert json.loads((found[0] / MODEL).read_text()) == about, "made again from the book"


@pytest.mark.parametrize(
    ("text", "of", "words"),
    [
        ("champion", ("other",), "no sweep here has trained one; begin with:  sweep run other"),
        ("newer", ("other",), f"newer asks {QUADRATIC}, and a network of other is needed"),
        ("newer/77", OF, "no such network; say champion, a sweep of"),
        ("nonsense", OF, "(older, newer)"),
        ("", OF, "no such network"),
    ],
)
def test_what_is_not_there_is_refused(bench: Bench, trained: Book, text: str, of: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        pretrained.find(text, of, bench.storage)


def test_weights_that_are_gone_are_refused(bench: Bench, trained: Book) -> None:
    number = trained.best()[0].number
    (folder(trained, number) / WEIGHTS).unlink()
    with pytest.raises(UserError, match=f"the weights of trial {number} are not in .* any more"):
        pretrained.find("newer", OF, bench.storage)


def test_studies_say_whether_they_want_one(bench: Bench) -> None:
    with pytest.raises(UserError, match="the study .* trains its own networks"):
        plan.resolve(request(QUADRATIC, model="champion"), bench.storage)
    with pytest.raises(UserError, match="ebm_sampling needs a trained network; say --model champion, a sweep of ebm"):
        plan.resolve(request("ebm_sampling"), bench.storage)


@pytest.fixture
def begins_trained() -> str:
    """The toy study, as one that begins with a trained network of the toy study."""
    source = Path(QUADRATIC).read_text()
    for old, new in (
        ("    trials=6,", f"    trials=6, model_of=({QUADRATIC!r},),"),
        ("    x: float", "    model: str = ''\n    x: float"),
    ):
        assert old in source
        source = source.replace(old, new)
    Path("begins_trained.py").write_text(source)
    return "begins_trained.py"


def test_a_study_begins_with_what_the_network_was_trained_with(
    bench: Bench, trained: Book, begins_trained: str
) -> None:
    best = trained.best()[0]
    spec = plan.resolve(request(begins_trained, model=f"newer/{best.number}"), bench.storage)
    assert spec.base["x"] == best.params["x"] and spec.base["model"] == str(folder(trained, best.number))
    assert spec.data == "digits" and spec.set.items() <= spec.base.items()
    with pytest.raises(UserError, match="begins with is not in .*elsewhere any more; say --model alone"):
        plan.resolve(request(begins_trained, model="newer", set=["model=elsewhere"]), bench.storage)


def test_a_sweep_whose_trained_network_is_gone_says_so_and_trains_nothing(
    bench: Bench, trained: Book, begins_trained: str
) -> None:
    best = trained.best()[0]
    spec = plan.resolve(request(begins_trained, name="later", trials=1, model="newer"), bench.storage)
    book = new_sweep.create(bench.storage, spec)
    bench.drive(book)
    assert removal.cost(trained, bench.storage) == "later begins with a network of it and cannot go on without it"
    assert removal.cost(book, bench.storage) == ""
    assert not pretrained.lacking(book) and not [*search.findings(book)] and steer.resumed(book, 2) == {"trials": 2}
    (folder(trained, best.number) / MODEL).unlink()
    assert "model.json of the trained network" in pretrained.lacking(book)
    (folder(trained, best.number) / WEIGHTS).write_bytes(b"nonsense")
    assert "is damaged" in pretrained.lacking(book)
    other = next(trial.number for trial in trained.finished() if trial.number != best.number)
    for name in (MODEL, WEIGHTS):
        shutil.copy2(folder(trained, other) / name, folder(trained, best.number))
    with pytest.raises(UserError, match="cannot go on: the trained network in .* is not the one that it began with"):
        steer.resumed(book, 2)
    with pytest.raises(UserError, match="'later' exists with other settings: .*model digest .* [(]was .*[)]"):
        plan.resolve(request(begins_trained, name="later", trials=1, model="newer"), bench.storage)
    shutil.rmtree(folder(trained, best.number))
    gone = "the trained network that it begins with is not in .* any more"
    with pytest.raises(UserError, match=f"sweep 'later' cannot go on: {gone}; put it back .*, or start a new sweep"):
        steer.resumed(book, 2)
    assert steer.resumed(book) == {}, "it is complete"
    with pytest.raises(UserError, match=f"'later' can draw no images: {gone}; put it back"):
        sampling.draw(book, None, 4, 0, "cpu")
    (found,) = search.findings(book)
    assert re.match(f"it can neither go on nor draw new images, {gone}", found.what)
