"""Who scored the trials of a sweep: values compare only under one judge."""

from collections.abc import Mapping

from orchestrator.search.book import Book
from orchestrator.search.trials import run_of
from orchestrator.text import trials

JUDGE = "judge/hash"  # the tag by which trials note who scored them


def disagreement(book: Book, tags: Mapping[str, Mapping[str, str]]) -> str:
    """A clause about completed trials that different judges scored, by the ``tags`` of each run; '' where one did.

    A judge is trained once and kept in the cache. Another one is trained where the cache was removed or damaged, and where
    machines of a cluster begin at once; on another device or with other threads it has other weights.
    """
    scored: dict[str, list[int]] = {}
    for trial in book.trials("complete"):
        if judge := tags.get(run_of(book.spec, trial), {}).get(JUDGE):
            scored.setdefault(judge, []).append(trial.number)
    if len(scored) < 2:
        return ""
    who = "; ".join(f"{judge[:8]} scored {trials(numbers)}" for judge, numbers in scored.items())
    return f"{len(scored)} judges scored its trials, whose values do not compare ({who})"
