"""Sweeps from Python and notebooks: ``from orchestrator import sweep``; ``s = sweep.run("ebm", trials=20)``; ``s.best``.

What the command line can do to a sweep, with values instead of text. Errors that a user can mend are UserError, one sentence.
"""

import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PIL import Image
from typing_extensions import Unpack

from orchestrator import files, session
from orchestrator import options as arguments
from orchestrator.errors import UserError
from orchestrator.options import Option
from orchestrator.reports.notebook import Trial, inline, text
from orchestrator.reports.sweep_data import SweepData
from orchestrator.search import book as books
from orchestrator.search import plan
from orchestrator.search.book import Book
from orchestrator.search.options import (
    ComparisonOptions,
    ResumeOptions,
    SearchOptions,
    SweepOptions,
    Variation,
    request,
)
from orchestrator.search.trials import Trial as StoredTrial
from orchestrator.search.trials import run_of
from orchestrator.stores import failures, optuna_storage
from orchestrator.stores.optuna_storage import Storage
from orchestrator.supervisor import lease
from orchestrator.supervisor.machine import Machine, check, machine
from orchestrator.supervisor.options import MachineOptions
from orchestrator.terminal.plain_console import PlainConsole
from orchestrator.transfer import readdress

if TYPE_CHECKING:
    import pandas

__all__ = ["Sweep", "Trial", "UserError", "compare", "load", "names", "run"]
WIDTH = 120  # letters of a line, where there is no terminal


class GoOnOptions(MachineOptions, total=False):
    """Of ``Sweep.resume``: those of `sweep resume` beside the total."""

    sampler: str | None
    pruner: str | None
    tracking_uri: str | None
    accept_drift: bool


class Sweep:
    """A sweep as it stands now: everything is looked up anew when it is asked for."""

    def __init__(self, book: Book, storage: Storage) -> None:
        self._stored, self._storage = book, storage

    @failures.as_sentences()
    def __repr__(self) -> str:
        return f"<Sweep {self.name}: {len(self._book.finished())} of {self._book.total()} trials>"

    @property
    def _book(self) -> Book:
        self._stored.refresh()
        return self._stored

    @property
    @failures.as_sentences()
    def name(self) -> str:
        """By which the command line and ``load`` know it."""
        return self._book.spec.name

    @property
    @failures.as_sentences()
    def question(self) -> str:
        """What its study asks."""
        return self._book.spec.question

    @property
    @failures.as_sentences()
    def best(self) -> Trial:
        """The best completed trial by the first objective; UserError where there is none."""
        return self.trial()

    @failures.as_sentences()
    def trial(self, number: int | None = None) -> Trial:
        """A completed trial, the best one unless its number is given."""
        from orchestrator.search import sampling

        trial, spec = sampling.completed(self._book, _number(number)), self._book.spec
        shown = SweepData(self._book).samples(trial)
        return Trial(
            number=trial.number,
            values={key: value for (key, _), value in zip(spec.objectives, trial.values, strict=True)},
            settings=dict(trial.params),
            config=self._book.config(trial).model_dump(),
            seconds=trial.seconds or 0.0,
            run=run_of(spec, trial),
            samples=Image.open(BytesIO(shown)) if shown else None,
        )

    @property
    @failures.as_sentences()
    def trials(self) -> "pandas.DataFrame":
        """A row a trial, by its number: outcome, objectives, seconds, MLflow run, and a column a searched parameter."""
        import pandas

        spec = self._book.spec
        driver = lease.present(self._book)
        rows = {trial.number: self._row(trial, lease.outcome(driver, trial)) for trial in self._book.trials()}
        columns = ["outcome", *(key for key, _ in spec.objectives), "seconds", "run", *spec.space]
        frame = pandas.DataFrame.from_dict(rows, orient="index", columns=columns)
        return frame.rename_axis("trial")

    def _row(self, trial: StoredTrial, outcome: str) -> list[Any]:
        spec = self._book.spec
        values = trial.values if trial.outcome == "complete" else [None] * len(spec.objectives)
        settings = [trial.params.get(name) for name in spec.space]
        return [outcome, *values, trial.seconds, run_of(spec, trial), *settings]

    @failures.as_sentences()
    def metric(self, key: str, trial: int | None = None) -> "pandas.Series[float]":
        """What a trial, the best one unless its number is given, logged as ``key``, by step; UserError where it did not."""
        import pandas

        from orchestrator.search import sampling

        key, trial = arguments.argument("key", key, str), _number(trial)
        data, stored_trial = SweepData(self._book), sampling.completed(self._book, trial)
        points = data.ask(lambda reader: reader.history(run_of(self._book.spec, stored_trial), key)) or []
        if not points:
            known = ", ".join(sorted(data.finals(stored_trial))) or data.missing
            raise UserError(f"trial {stored_trial.number} of {self.name} logged no {key}; what there is: {known}")
        return pandas.Series([value for _, value in points], [step for step, _ in points], name=key).rename_axis("step")

    @failures.as_sentences()
    def figure(self, name: str = "history") -> Image.Image:
        """A figure by its name in the catalogue, orchestrator/figures/catalogue.py; docs/reports.md shows them all.

        UserError, with those that there are, where the sweep has no such figure, or too few trials for it yet.
        """
        from orchestrator.figures import canvas, catalogue
        from orchestrator.reports import comparison

        name, data = arguments.argument("name", name, str), SweepData(self._book)
        drawn = catalogue.draw(data.subject)
        if self._book.spec.comparison and (arms := comparison.drawing(data)):
            drawn = {"comparison": arms} | drawn
        if name not in drawn:
            raise UserError(f"{self.name} has no figure {name}; it has {', '.join(drawn) or 'none yet'}")
        return Image.fromarray(canvas.pixels(drawn[name]))

    @failures.as_sentences()
    def sample(self, n: int = 64, trial: int | None = None, seed: int = 0, device: str = "auto") -> Image.Image:
        """``n`` new images, 1 to 10,000, by a trial, the best one unless its number is given, as one grid."""
        from orchestrator import devices
        from orchestrator.figures import events
        from orchestrator.search import sampling

        n = arguments.argument("n", n, int, minimum=1, maximum=sampling.AT_MOST)
        trial, seed = _number(trial), arguments.argument("seed", seed, int)
        place = devices.resolve(arguments.argument("device", device, str), 1, 1).devices[0]
        return Image.fromarray(events.grid(sampling.draw(self._book, trial, n, seed, place).images))

    @failures.as_sentences()
    def report(self, path: str | Path = "") -> Path:
        """Write the report, NAME.html unless another path is given; returns where it is. UserError where it cannot be."""
        from orchestrator.reports import sweep as report

        file = files.output(Path(arguments.argument("path", path, str) or f"{self.name}.html"))
        files.write_output(file, report.write(self._book).encode())
        return file

    @failures.as_sentences()
    def resume(
        self,
        trials: int | None = None,
        *,
        quiet: bool = False,
        **options: Unpack[GoOnOptions],
    ) -> "Sweep":
        """Go on to its total, or to another one; what `sweep resume --help` lists is taken, with `_` for `-`."""
        machine_options, wanted = _given({"trials": trials, **options}, (ResumeOptions,), "Sweep.resume", quiet)
        check(machine_options)
        given = arguments.given(arguments.read(ResumeOptions), wanted, "Sweep.resume")
        if driver := lease.present(self._book):
            raise lease.driven(self._book, driver)
        changes = readdress.resumed(book := books.load(self._storage, self.name), given)
        place = machine(book.spec.model_copy(update=changes), machine_options)
        return _drive(book, self._storage, place, session.parent_run(), quiet, changes)

    @failures.as_sentences()
    def _repr_html_(self) -> str:
        from orchestrator.reports import findings

        best, done = self._book.best(5), self._book.finished()
        parts = [
            f"<b>{text(self.name)}</b>: {text(self.question)}<br>{len(done)} of {self._book.total()} trials ended."
        ]
        if not best:
            return parts[0]
        parts.append(f"<p>{text(findings.answer(self._book, {})[0])}</p>")
        table = (
            self.trials.loc[[trial.number for trial in best]].drop(columns=["outcome", "run"]).dropna(axis=1, how="all")
        )
        parts.append(table.to_html(float_format=lambda value: f"{value:.4g}"))
        samples = self.best.samples
        return "\n".join([*parts, *([inline(samples)] if samples is not None else [])])


class RunOptions(SearchOptions, SweepOptions, MachineOptions, total=False):
    """Of ``run``: those of `sweep run`."""


class CompareOptions(ComparisonOptions, SweepOptions, MachineOptions, total=False):
    """Of ``compare``: those of `sweep compare`."""


@failures.as_sentences()
def run(study: str, *, quiet: bool = False, **options: Unpack[RunOptions]) -> Sweep:
    """Search the space of a study, a name or a Python file, as ``sweep run`` does; returns when the sweep has ended.

    ``set`` and ``fix`` are mappings; what `sweep run --help` lists is taken, with `_` for `-`. Interrupting the kernel ends the
    sweep in order. UserError for an option that does not exist or a value that cannot be.
    """
    return _begin(study, {**options}, (SearchOptions, SweepOptions), "sweep.run", quiet)


@failures.as_sentences()
def compare(
    study: str, vary: Mapping[str, Sequence[Any]], *, quiet: bool = False, **options: Unpack[CompareOptions]
) -> Sweep:
    """Compare settings of a study, every combination of ``vary`` with the same seeds, as ``sweep compare`` does."""
    pairs = arguments.argument("vary", vary, arguments.Pairs, many=True)
    if not pairs:
        raise UserError("vary={}: nothing is compared; give settings with their values: vary={'n_steps': [10, 20]}")
    return _begin(
        study, {**options, "vary": pairs}, (Variation, ComparisonOptions, SweepOptions), "sweep.compare", quiet
    )


@failures.as_sentences()
def load(name: str, storage: str | None = None) -> Sweep:
    """The sweep ``name``, running or not; UserError, with the near miss, where there is none."""
    name, opened = arguments.argument("name", name, str), _storage(storage)
    return Sweep(books.load(opened, name), opened)


@failures.as_sentences()
def names(storage: str | None = None) -> list[str]:
    """The sweeps here, in the order in which they were made."""
    return books.names(_storage(storage))


def _begin(study: str, values: dict[str, Any], tables: tuple[type, ...], where: str, quiet: bool) -> Sweep:
    machine_values, values = _given(values, tables, where, quiet)
    sweep_request = request(study, **values)
    storage = optuna_storage.meant(sweep_request.options["storage"])
    spec, parent_run = plan.resolve(sweep_request, storage), session.parent_run()
    stored, place = plan.settle(spec, storage), machine(spec, machine_values)
    changes = session.check(spec, stored, sweep_request.options["trials"], storage, parent_run)
    if stored is None:
        storage = optuna_storage.meant(sweep_request.options["storage"], create=True)
    return _drive(stored or session.make(spec, storage, parent_run), storage, place, parent_run, quiet, changes)


def _given(
    values: Mapping[str, Any], tables: tuple[type, ...], where: str, quiet: bool
) -> tuple[MachineOptions, dict[str, Any]]:
    """The values of the machine's options and those of ``tables``; UserError for what ``where`` does not take."""
    known = arguments.read(*tables, MachineOptions)
    known["quiet"] = Option("", name="quiet", type=bool, default=False)
    arguments.given(known, {**values, "quiet": quiet}, where)
    of_machine = arguments.read(MachineOptions).keys()
    others = {name: value for name, value in values.items() if name not in of_machine}
    return cast(MachineOptions, {name: values[name] for name in of_machine & values.keys()}), others


def _drive(
    book: Book, storage: Storage, place: Machine, parent_run: str, quiet: bool, changes: Mapping[str, Any]
) -> Sweep:
    console = PlainConsole(file=sys.stdout, force_jupyter=False, force_terminal=False, width=WIDTH, quiet=quiet)
    session.drive(book, place, console, parent_run, changes)
    return Sweep(book, storage)


def _storage(url: str | None) -> Storage:
    """The storage that is meant, to look at."""
    return optuna_storage.meant(None if url is None else arguments.argument("storage", url, str))


def _number(trial: int | None) -> int | None:
    """The number of a trial, where one was given."""
    return None if trial is None else int(arguments.argument("trial", trial, int, minimum=0))
