"""`sweep doctor`: what Optuna, MLflow, folders and processes say of a sweep, compared, told, and repaired if wanted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator import text
from orchestrator.errors import UserError
from orchestrator.repair import absent_runs, damage, files, search
from orchestrator.repair.files import Finding
from orchestrator.repair.runs import Runs
from orchestrator.search import book as books
from orchestrator.search import completion, home
from orchestrator.search.book import Book
from orchestrator.stores import failures, optuna_storage, urls
from orchestrator.supervisor import closing, lease
from orchestrator.text import counted, first_line
from orchestrator.tracking import connection
from orchestrator.tracking.stored_run import RunReader

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

ROUNDS = 5  # of looking and repairing, for what is repaired may show more
REPAIRED, LEFT, UNTOUCHED = "repaired", "not repaired", ""


@dataclass(frozen=True)
class Inspection:
    """One look at a sweep."""

    findings: list[Finding]
    trials: int = 0
    runs: int = 0
    earlier: int = 0  # runs of sweeps that had its name before


def examine(storage: str | None, name: str | None, repair: bool, console: Console) -> int:
    """Look at the databases, then at the sweep ``name``, or at all in the storage; returns the exit status. See visit."""
    address, option = optuna_storage.address(storage)
    damaged = list(damage.databases([(address, option)]))
    if damaged:  # then nobody knows which trackers the sweeps have
        damaged += damage.databases([(urls.tracking(), "MLFLOW_TRACKING_URI")])
    if damaged:
        return _report(damaged, console)
    opened = optuna_storage.connect(address, option, create=False)
    if not books.names(opened) and (sentence := home.unknown(address)):
        return _report([sentence], console)
    return visit([books.load(opened, sweep) for sweep in ([name] if name else books.names(opened))], repair, console)


def visit(sweeps: Sequence[Book], repair: bool, console: Console) -> int:
    """Tell what does not fit in these sweeps, and repair it if ``repair``; returns the exit status, 1 where anything stays."""
    if not sweeps:
        console.print("no sweeps here yet; begin one with:  sweep run ebm")
    if damaged := list(damage.databases((book.spec.tracking_uri, "--tracking-uri") for book in sweeps)):
        return _report(damaged, console)
    whole = [_Visit(book, console).whole(repair) for book in sweeps]  # a list, for all are to be visited
    return 0 if all(whole) else 1


def _report(damaged: Sequence[str], console: Console) -> int:
    """Tell of damaged databases, and look at nothing else: what they say of sweeps cannot be trusted."""
    for sentence in damaged:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    return 1


class _Visit:
    """A visit at one sweep."""

    def __init__(self, book: Book, console: Console) -> None:
        self.book, self.console, self.name = book, console, book.spec.name
        self.advice = ""  # to be followed before anything is repaired
        self.reader: RunReader | None = None
        self.store: MlflowStore | None = None  # opened when something is repaired
        self.seen: dict[tuple[int | None, str], tuple[Finding, str]] = {}  # what was found, and what became of it

    def whole(self, repair: bool) -> bool:
        """Tell and repair; returns whether all is whole then."""
        stands = lease.driver(self.book)
        driver = lease.present(self.book)
        inspection = self._inspect(driven=driver is not None)
        if driver is None and (driver := lease.present(self.book)) is not None:
            inspection = self._inspect(driven=True)  # it began while we looked
        findings = [*inspection.findings] if driver or not stands else [_gone(stands), *inspection.findings]
        if driver is not None:
            by = f"process {driver.process} on {driver.host}"
            self._say(f"driven by {by}, so only trials that have ended are looked at, and nothing is repaired")
            repair = False
        elif not findings:
            self._say(f"whole ({counted(inspection.trials)}, {counted(inspection.runs, 'run')})")
        if repair and any(finding.repair for finding in findings):
            self._repair(findings)
        else:
            self._note(findings, LEFT if repair else UNTOUCHED)
        self._tell()
        if not repair and driver is None and any(finding.repair for finding in findings):
            if self.advice:
                self._say(self.advice)
            self._say(f"repair it with:  {text.program()} doctor {self.name} --repair")
        self._remark(inspection, driver is not None)
        return all(state == REPAIRED for _, state in self.seen.values())

    # ---- looking -----------------------------------------------------------------------------------------------------

    def _inspect(self, driven: bool = False) -> Inspection:
        spec, here = self.book.spec, list[Finding]()
        if not driven:
            here += [*search.findings(self.book), *files.folders(self.book), *damage.findings(self.book, self._reach)]
        try:
            if self.reader is None:
                self.reader = connection.find_reader(
                    spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, spec.run
                )
            if what := absent_runs.absent(self.book, self.reader):
                if where := absent_runs.found(self.book):
                    return Inspection([Finding(None, what, f"none; {where}"), *here])
                self.advice = f"{what}; {absent_runs.advice(self.book)}"
            runs = Runs(self.book, self.reader, self._reach)
            of_runs = runs.findings(driven)
            findings = [*here, *of_runs, *runs.refusals(), *(() if driven else self._closing())]
            return Inspection(findings, len(runs.trials), runs.count(), runs.earlier())
        except connection.unreachable() as error:
            here.append(
                Finding(None, f"MLflow cannot be looked at: {_sentence(error)}", "none; look again when it can")
            )
        here += files.refusals(self.book, self._reach, lambda number: "")
        for number in (None, *(trial.number for trial in self.book.trials())):
            if not driven and files.waiting(files.folder_of(self.book, number)).entries:
                here.append(Finding(number, files.WAITS, f"none; `sweep sync {self.name}` delivers them when it can"))
        return Inspection([*here, *(() if driven else self._closing())])

    def _closing(self) -> Iterator[Finding]:
        """What a supervisor that was killed at the end left undone: the last finding, for its repair needs all runs."""
        if completion.is_closing(self.book):
            what = "its trials have ended, but its figures, its champion and its records are not complete"
            yield Finding(None, what, f"completed, as `sweep resume {self.name}` does", self._complete)

    # ---- repairing --------------------------------------------------------------------------------------------------

    def _complete(self) -> None:
        closed = closing.complete(self.book, self._reach())
        if completion.is_closing(self.book):
            raise UserError(closed.trouble or closed.courier.trouble)

    def _reach(self) -> "MlflowStore":
        """The tracker to repair in, made where there is none."""
        if self.store is None:
            uri, option, experiment = self.book.spec.tracking_uri, "--tracking-uri", Path(self.book.spec.study).stem
            store = connection.find(uri, option, experiment, self.book.spec.run)
            what = absent_runs.absent(self.book, store)
            if what and (where := absent_runs.found(self.book)):
                raise UserError(f"{what}; {where}")
            self.store = store or connection.connect(uri, option, experiment)
        if self.store.experiment_deleted():  # nothing can be put into it
            self.store.restore()
        return self.store

    def _repair(self, findings: list[Finding]) -> None:
        """Repair as the one who drives, so that nobody begins meanwhile; look again until nothing new is found."""
        Path(self.book.spec.folder).mkdir(parents=True, exist_ok=True)
        try:
            with lease.acquire_lease(self.book):
                for _ in range(ROUNDS):
                    for finding in findings:
                        if (finding.trial, finding.what) not in self.seen:
                            self._try(finding)
                    findings = self._inspect().findings
                    back = [
                        finding
                        for finding in findings
                        if self.seen.get((finding.trial, finding.what), (finding, ""))[1] == REPAIRED
                    ]
                    self._note(back, f"{LEFT}, it is still so")
                    if all((finding.trial, finding.what) in self.seen for finding in findings):
                        return
                self._note(findings, LEFT)
        except UserError as error:
            self._note(findings, f"{LEFT} ({error})")

    def _try(self, finding: Finding) -> None:
        if finding.repair is None:
            return self._note([finding], LEFT)
        try:
            finding.repair()
            self._note([finding], REPAIRED)
        except Exception as error:  # trackers, disks and studies fail in many ways, and the rest can be repaired
            self._note([finding], f"{LEFT} ({_sentence(error)})")

    # ---- telling -----------------------------------------------------------------------------------------------------

    def _note(self, findings: Iterable[Finding], state: str) -> None:
        self.seen |= {(finding.trial, finding.what): (finding, state) for finding in findings}

    def _tell(self) -> None:
        """What is the same of several trials is one line."""
        lines: dict[tuple[str, str, str], list[int | None]] = {}
        for finding, state in self.seen.values():
            lines.setdefault((finding.what, finding.action, state), []).append(finding.trial)
        if lines:
            repaired = [state for _, state in self.seen.values() if state == REPAIRED]
            self._say(counted(len(self.seen), "finding") + (f", {len(repaired)} repaired" if repaired else ""))
        for (what, action, state), trials in lines.items():
            self._print(f"  {_who(trials)}: {what} → {action}" + (f" · {state}" if state else ""))

    def _remark(self, inspection: Inspection, driven: bool) -> None:
        """What is as it should be and good to know."""
        left = len(self.book.trials_running())
        if left and not driven:
            wait = "trial waits" if left == 1 else "trials wait"
            self._say(f"{left} {wait} for `{text.program()} resume {self.name}`")
        if inspection.earlier:
            runs = "1 run is" if inspection.earlier == 1 else f"{inspection.earlier} runs are"
            self._say(f"{runs} of another sweep that had this name, as `rm --keep-runs` leaves them")

    def _say(self, text: str) -> None:
        self._print(f"{self.name}: {text}")

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _gone(who: lease.Driver) -> Finding:
    """A supervisor that left without a word. Whoever drives the sweep next takes its place, as we do to repair it."""
    what = f"stale lease: supervisor (pid {who.process} on {who.host}) is no longer running"
    return Finding(None, what, "lease cleared", lambda: None)


def _who(trials: Sequence[int | None]) -> str:
    """'the sweep', 'trial 3', 'trials 0-4, 7'."""
    numbers = [number for number in trials if number is not None]
    if not numbers:
        return "the sweep"
    return ("the sweep, " if None in trials else "") + text.trials(numbers)


def _sentence(error: Exception) -> str:
    return first_line(failures.of_store(error) or error, most=500)
