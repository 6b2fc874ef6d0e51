"""What counts as a changed sweep."""

from orchestrator.search import new_sweep, plan, proposals, steer
from tests.support.bench import Bench, request


def test_a_question_in_other_words_is_no_drift(bench: Bench) -> None:
    """A sweep stores its question. When a study words it anew, the sweep still resumes."""
    spec = bench.book().spec
    reworded = spec.model_copy(update={"question": "Which setting is nearest?"})
    assert reworded.question != spec.question and reworded.same_search(spec) == ""
    assert "seed" in spec.model_copy(update={"seed": spec.seed + 1}).same_search(spec)


def test_a_sweep_keeps_the_recipe_of_the_version_that_began_it(bench: Bench) -> None:
    """Its first trials had labels; the recipe of now has none."""
    spec = plan.resolve(request("gan", name="earlier", data="digits"), bench.storage)
    earlier = {name: value for name, value in spec.base.items() if name not in ("hidden_classes", "clusters")}
    book = new_sweep.create(bench.storage, spec.model_copy(update={"base": earlier | {"labels": "both"}}))
    changes = steer.resumed(book, trials=20)
    assert changes == {"trials": 20}
    assert proposals.base(book.spec, book.study).labels == "both"
