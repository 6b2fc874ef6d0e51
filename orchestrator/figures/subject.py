"""What the figures of a sweep are drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.analysis import importance
from orchestrator.analysis.comparison import ComparedTrial, Result
from orchestrator.figures.sweep import Search
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial


@dataclass
class Subject:
    """A sweep to be drawn. ``compared`` is what a comparison says, where it has been worked out."""

    book: Book
    compared: tuple[Result, Sequence[ComparedTrial]] | None = None

    @property
    def completed(self) -> list[Trial]:
        """Trials with values, by number."""
        return self.book.trials("complete")

    @cached_property
    def shares(self) -> dict[str, float]:
        """See importance.shares: it is worked out once."""
        return importance.shares(self.book.optuna_study)

    @cached_property
    def search(self) -> Search:
        """The trials as figures of a search show them, by the first objective."""
        spec = self.book.spec
        return Search(self.book.trials(), spec.objectives[0][0], spec.signs[0], lambda: self.shares)
