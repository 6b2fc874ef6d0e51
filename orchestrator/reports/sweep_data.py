"""What a report is made of: a sweep's trials, and what they logged, as far as MLflow can be reached."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator import pictures
from orchestrator.errors import UserError
from orchestrator.layout import SAMPLES, trial_folder
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial, run_of
from orchestrator.tracking import connection
from orchestrator.tracking.stored_run import RunReader, StoredRun
from studies.parts.study import Section, Study, StudyError

if TYPE_CHECKING:
    from orchestrator.figures.subject import Subject

T = TypeVar("T")


class SweepData:
    """Everything is looked up when it is first wanted. What is out of reach is left out, and ``missing`` says so."""

    def __init__(self, book: Book) -> None:
        self.book, self.missing = book, ""
        self.reader: RunReader | None = None
        spec = book.spec
        try:
            self.reader = connection.find_reader(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, spec.run)
        except UserError as error:
            self.missing = str(error)
        if self.reader is None and not self.missing:
            self.missing = f"there is nothing of it at {spec.tracking_uri}"

    @cached_property
    def completed(self) -> list[Trial]:
        """Completed trials, the best first."""
        return self.book.best(len(self.book.trials("complete")))

    @cached_property
    def typical(self) -> dict[str, Trial]:
        """The best, the median and the worst completed trial, where they are different ones."""
        done = self.completed
        places = {0: "best"} if done else {}
        for name, place in (("median", len(done) // 2), ("worst", len(done) - 1)):
            if done:
                places.setdefault(place, name)
        return {name: done[place] for place, name in places.items()}

    @cached_property
    def subject(self) -> "Subject":
        """What the sweep's figures are drawn from."""
        from orchestrator.figures.subject import Subject

        return Subject(self.book)

    @cached_property
    def shares(self) -> dict[str, float]:
        """See importance.shares."""
        return self.subject.shares

    @cached_property
    def study(self) -> Study[Any, Any] | None:
        """Our study, unless its file is gone."""
        try:
            return self.book.study
        except StudyError:
            return None

    @property
    def sections(self) -> tuple[Section, ...]:
        """What the study says belongs together."""
        return self.study.sections if self.study else ()

    def finals(self, trial: Trial) -> Mapping[str, float]:
        """The last value of everything that a trial counted or scored."""
        return self._finals.get(run_of(self.book.spec, trial), {})

    def tags(self, trial: Trial) -> Mapping[str, str]:
        """What is noted with a trial's run: device, host, the judge."""
        return self.all_tags.get(run_of(self.book.spec, trial), {})

    def pictures(self, trial: Trial) -> dict[str, dict[int, str]]:
        """The pictures of a trial by key and step: their paths."""
        run = run_of(self.book.spec, trial)
        paths: dict[str, dict[int, str]] = {}
        for key, step, path in (self.ask(lambda reader: reader.pictures(run)) if run else None) or []:
            paths.setdefault(key, {})[step] = path
        return paths

    def picture(self, trial: Trial, path: str) -> bytes | None:
        """One of them, as PNG; None where it is out of reach or damaged."""
        content = self.ask(lambda reader: reader.content(run_of(self.book.spec, trial), path))
        return content if content and pictures.whole(content) else None

    def samples(self, trial: Trial) -> bytes | None:
        """A trial's last samples, as PNG: from its folder, else from MLflow."""
        if samples := pictures.load(trial_folder(self.book.spec.folder, trial.number) / SAMPLES):
            return samples
        steps = self.pictures(trial).get(self.study.pictures, {}) if self.study else {}
        return self.picture(trial, steps[max(steps)]) if steps else None

    @cached_property
    def _runs(self) -> list[StoredRun]:
        return self.ask(lambda reader: reader.records(self.book.spec.id)) or []

    @cached_property
    def _finals(self) -> dict[str, Mapping[str, float]]:
        return {run.run: run.last for run in self._runs}

    @cached_property
    def all_tags(self) -> dict[str, dict[str, str]]:
        """What is noted with each run of the sweep, by the run's id."""
        return {run.run: run.tags for run in self._runs}

    def ask(self, question: Callable[[RunReader], T]) -> T | None:
        """What MLflow answers; None where it is out of reach."""
        if self.reader is None:
            return None
        try:
            return question(self.reader)
        except connection.unreachable() as error:
            self.missing = f"{self.book.spec.tracking_uri} does not answer ({str(error).splitlines()[0]})"
            return None
