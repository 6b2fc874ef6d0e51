"""What counts as a changed sweep."""

from tests.support.bench import Bench


def test_a_question_in_other_words_is_no_drift(bench: Bench) -> None:
    """A sweep stores its question. When a study words it anew, the sweep still resumes."""
    spec = bench.book().spec
    reworded = spec.model_copy(update={"question": "Which setting is nearest?"})
    assert reworded.question != spec.question and reworded.same_search(spec) == ""
    assert "seed" in spec.model_copy(update={"seed": spec.seed + 1}).same_search(spec)
