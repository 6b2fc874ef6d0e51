"""What MLflow shows to `sweep doctor`, beside what Optuna knows: one run a trial, closed as the trial was, and whole.

Looking changes nothing; each finding brings what would repair it.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.analysis import judges
from orchestrator.delivery import outbox
from orchestrator.delivery.entries import End, Entry, Tags
from orchestrator.layout import REPAIRS, SAMPLES
from orchestrator.messages import Outcome
from orchestrator.repair import files, rebuild
from orchestrator.repair.files import Finding, Waiting, folder_of
from orchestrator.search import completion
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial
from orchestrator.tracking import comparison_runs, names, trial_record
from orchestrator.tracking.stored_run import KEY, RunReader, StoredRun
from orchestrator.worker import result

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

PARENT = "mlflow.parentRunId"
PICTURED = "mlflow.loggedImages"
DELETED = "deleted; MLflow can restore it"
AGAIN = "made again from Optuna and the trial's files"


class Runs:
    """One look at the runs of a sweep."""

    def __init__(self, book: Book, reader: RunReader | None, reach: Callable[[], "MlflowStore"]) -> None:
        """``reader`` is None where there is no tracker yet; ``reach`` gives the one to repair in, made if need be."""
        self.book, self.reader, self.reach = book, reader, reach
        self.spec = book.spec
        self.trials = {trial.number: trial for trial in book.trials() if trial.state != "waiting"}
        self.waits: dict[int | None, Waiting] = {}
        self.by_number: dict[int | None, StoredRun] = {}
        self.runs: list[StoredRun] = []

    def findings(self, driven: bool) -> list[Finding]:
        """What does not fit; where the sweep is ``driven``, of finished trials only, for they do not change any more."""
        numbers: list[int | None] = [n for n, trial in self.trials.items() if not driven or trial.finished]
        if not driven:
            numbers.insert(0, None)
        # In this order: what a courier takes out of an outbox meanwhile is in its run.
        self.waits = {number: files.waiting(folder_of(self.book, number)) for number in numbers}
        self.runs = self.reader.records(self.spec.id, deleted=True) if self.reader else []
        findings = [finding for number in numbers for finding in self._run(number)]
        closing = completion.is_closing(self.book)  # closing it repairs its own run, and those of arms
        if not driven:
            findings += [*self._undelivered(), *self._strangers(), *(() if closing else self._arms())]
        for number, run in self.by_number.items():
            seen = _as_delivered(run, self.waits[number])
            if number is not None:
                findings += self._trial(number, seen)
            elif not closing:
                findings += self._own(seen)
        if split := judges.disagreement(self.book, {run.run: run.tags for run in self.runs}):
            findings.append(Finding(None, split, "none; compare only trials of one judge, or start a new sweep"))
        return findings

    def refusals(self) -> Iterator[Finding]:
        """What the tracker did not take of the runs that are there."""
        runs = {number: run.run for number, run in self.by_number.items()}
        return files.refusals(self.book, self.reach, lambda number: runs.get(number, ""))

    def count(self) -> int:
        """How many runs the sweep has: its own, those of its trials, and those of a comparison's arms."""
        arms = comparison_runs.keys(self.spec)
        return len(self.by_number) + sum(run.key in arms and not run.deleted for run in self.runs)

    def earlier(self) -> int:
        """How many runs bear the name of the sweep and belong to one that this storage does not know."""
        known = self.book.known_ids()
        runs = self.reader.named(self.spec.name) if self.reader else []
        return sum(bool(run.key) and run.key.partition("/")[0] not in known for run in runs)

    # ---- which run is whose ------------------------------------------------------------------------------------------

    def _run(self, number: int | None) -> Iterator[Finding]:
        """Find the one run of a trial, or of the sweep, for ``by_number``; tell what is in the way."""
        folder, begins = folder_of(self.book, number), self.waits[number].begins
        key = self.spec.id if number is None else trial_record.key(self.spec, number)
        led = outbox.run_id(folder)
        noted = self.spec.run if number is None else self.trials[number].run
        ours = [run for run in self.runs if run.key == key]
        named = [run for id in (led, noted) if id and (run := self._named(id, key))]
        there = [run for run in [*named, *ours] if not run.deleted]
        finished = bool(self.book.finished()) if number is None else self.trials[number].finished
        if there:
            own_run = self.by_number[number] = there[0]
            for run in ours:
                if not run.deleted and run.run != own_run.run:
                    yield Finding(
                        number, f"run {run.run[:8]} is a second one of it", DELETED, partial(self._discard, run.run)
                    )
            if own_run.key != key:
                repair = partial(self._add, own_run.run, [Tags(values={KEY: key})])
                yield Finding(number, f"its run has lost the tag {KEY}", "set", repair)
            if led and led != own_run.run:
                repair = partial(files.lead, folder, own_run.run)
                yield Finding(number, "its outbox leads to a run that is gone", "led to its run", repair)
        elif named or ours:
            run = [*named, *reversed(ours)][0]
            yield Finding(number, "its run was deleted", "restored", lambda: self.reach().restore(run.run))
        elif finished and not begins:
            yield Finding(number, "it has no run", AGAIN, partial(self._remake, number))
        elif led or noted:
            yield Finding(number, "its run is gone", "forgotten; a new one is made", partial(self._forget, number))

    def _named(self, id: str, key: str) -> StoredRun | None:
        """The run of that id, unless it is another's or there is none."""
        run = next((run for run in self.runs if run.run == id), None) or (
            self.reader.record(id) if self.reader else None
        )
        return run if run and run.key in (key, "") else None

    def _undelivered(self) -> Iterator[Finding]:
        for number, wait in self.waits.items():
            repair = partial(self._deliver, folder_of(self.book, number))
            if wait.entries:
                yield Finding(number, files.WAITS, "delivered", repair)
            elif wait.cut:
                yield Finding(number, "its outbox ends in half a line", "dropped", repair)

    def _strangers(self) -> Iterator[Finding]:
        keys = {
            self.spec.id,
            *(trial_record.key(self.spec, number) for number in self.trials),
            *comparison_runs.keys(self.spec),
        }
        for run in self.runs:
            if run.key not in keys and not run.deleted:
                what = f"run {run.run[:8]} is of a trial {run.key.partition('/')[2]}, which there is not"
                yield Finding(None, what, DELETED, partial(self._discard, run.run))

    def _arms(self) -> Iterator[Finding]:
        """Runs of a comparison's arms that nobody closed; what they lack is made when the comparison goes on."""
        outcome, keys = rebuild.ending(self.book), comparison_runs.keys(self.spec)
        active = {run.key for run in self.runs if not run.deleted}
        for run in self.runs:
            if run.key in keys - active:
                what = f"the run {run.run[:8]} of an arm was deleted"
                yield Finding(None, what, "restored", partial(self._restore, run.run))
            if run.key in keys and run.status == "RUNNING" and not run.deleted:
                end = End(status=rebuild.status(outcome), tags={"outcome": outcome}, at=_end(run))
                what = f"the run {run.run[:8]} of an arm is RUNNING, but nobody drives it"
                yield Finding(None, what, f"{end.status}, outcome {outcome}", partial(self._add, run.run, [end]))

    # ---- how a run stands --------------------------------------------------------------------------------------------

    def _trial(self, number: int, run: StoredRun) -> Iterator[Finding]:
        trial = self.trials[number]
        outcomes = self._outcomes(trial)
        if (run.status, run.tags.get("outcome")) not in [
            (trial_record.STATUS[outcome], outcome) for outcome in outcomes
        ]:
            outcome = outcomes[0]
            end = End(status=trial_record.STATUS[outcome], tags={"outcome": outcome}, at=_end(run, trial))
            is_ = "nobody plays it" if outcome == "stopped" else f"it is {outcome}"
            yield Finding(
                number,
                f"{_stands(run)}, but {is_}",
                f"{end.status}, outcome {outcome}",
                partial(self._add, run.run, [end]),
            )
        if run.tags.get(PARENT) != self.spec.parent_of(trial.params):
            repair = partial(self._put_below, run.run, trial)
            yield Finding(number, "its run is not below the sweep's", "put there", repair)
        lacking = self._lacking(trial, run)
        if rebuild.PICTURES in lacking and not (folder_of(self.book, number) / SAMPLES).exists():
            lacking.remove(rebuild.PICTURES)
            yield Finding(number, "its run has lost its pictures", f"none; there is no {SAMPLES} to make one of")
        if lacking:
            yield Finding(
                number, f"its run lacks {', '.join(lacking)}", AGAIN, lambda: self._complete(trial, run.run, lacking)
            )

    def _outcomes(self, trial: Trial) -> list[Outcome]:
        """As what the trial's run may be closed while nobody plays it, the likeliest first."""
        if trial.outcome != "running" and trial.outcome != "waiting":
            return [trial.outcome]
        end = result.load(folder_of(self.book, trial.number))
        return ["stopped"] if end is None else [end.outcome, "stopped"]

    def _lacking(self, trial: Trial, run: StoredRun) -> list[str]:
        lacking = [key for key in rebuild.numbers(self.book, trial) if names.metric(key) not in run.numbers]
        file_names = self._files(trial.number, run)
        if rebuild.CONFIG not in file_names:
            lacking.append(rebuild.CONFIG)
        if PICTURED in run.tags and "images" not in file_names:
            lacking.append(rebuild.PICTURES)
        return lacking

    def _own(self, run: StoredRun) -> Iterator[Finding]:
        """The sweep's own run. How it ended is told by its outcome only, for a study in Optuna has no end."""
        outcome = run.tags.get("outcome", "running")
        if run.status not in ("FINISHED", "FAILED", "KILLED") or outcome == "running":
            outcome = rebuild.ending(self.book)
            action = f"{rebuild.status(outcome)}, outcome {outcome}"
            yield Finding(None, f"{_stands(run)}, but nobody drives it", action, lambda: self._close(run.run, outcome))
            return
        if (outcome in rebuild.WHOLE) != (run.status == "FINISHED"):
            status = rebuild.status(outcome)
            end = End(status=status, tags={}, at=_end(run))
            yield Finding(None, _stands(run), status, partial(self._add, run.run, [end]))
        if outcome in rebuild.WHOLE and not rebuild.drawn(self.book) <= self._files(None, run):
            yield Finding(None, "its run lacks figures", "drawn again", lambda: self._draw(run.run))
        assert self.reader is not None  # for the run is in it
        if outcome in rebuild.WHOLE and (what := rebuild.uncrowned(self.book, self.reader)):
            yield Finding(None, what, "registered", self._crown)

    def _files(self, number: int | None, run: StoredRun) -> set[str]:
        assert self.reader is not None  # for the run is in it
        return self.reader.artifacts(run.run) | self.waits[number].files

    # ---- repairing --------------------------------------------------------------------------------------------------

    def _add(self, run: str, entries: Sequence[Entry]) -> None:
        files.amend(Path(self.spec.folder, REPAIRS), run, entries, self.reach())

    def _put_below(self, run: str, trial: Trial) -> None:
        self._add(run, [Tags(values={PARENT: self.book.spec.parent_of(trial.params)})])  # which may just have been made

    def _restore(self, run: str) -> None:
        self.reach().restore(run)

    def _discard(self, run: str) -> None:
        self.reach().discard(run)

    def _deliver(self, folder: Path) -> None:
        files.deliver(folder, self.reach())

    def _complete(self, trial: Trial, run: str, lacking: Sequence[str]) -> None:
        self._add(run, rebuild.entries(self.book, trial, lacking))

    def _close(self, run: str, outcome: str) -> None:
        rebuild.close(self.book, self.reach(), run, outcome)

    def _draw(self, run: str) -> None:
        rebuild.draw(self.book, self.reach(), run)

    def _crown(self) -> None:
        rebuild.crown(self.book, self.reach())

    def _remake(self, number: int | None) -> None:
        if number is None:
            rebuild.sweep(self.book, self.reach())
        else:
            rebuild.trial(self.book, self.trials[number], self.reach())

    def _forget(self, number: int | None) -> None:
        files.lead(folder_of(self.book, number), "")
        if number is None:
            self.book.update(run="")
        else:
            self.book.forget_run(number)


def _as_delivered(run: StoredRun, wait: Waiting) -> StoredRun:
    """The run as it will be when its outbox is delivered."""
    return run._replace(
        status=wait.status or run.status, tags=run.tags | wait.tags, numbers=run.numbers | frozenset(wait.numbers)
    )


def _stands(run: StoredRun) -> str:
    return f"its run is {run.status}, outcome {run.tags.get('outcome', 'unknown')}"


def _end(run: StoredRun, trial: Trial | None = None) -> int:
    """When what the run tells of ended, as far as it is known, in milliseconds since 1970."""
    if run.ended is not None:
        return run.ended
    when = trial.ended if trial else None
    return int((when or datetime.now()).timestamp() * 1000)
