"""What `list`, `show` and `studies` print."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from orchestrator.devices import Resources
from orchestrator.search import completion
from orchestrator.search.book import Book
from orchestrator.search.spec import Spec
from orchestrator.search.trials import run_of
from orchestrator.supervisor import commands, lease
from orchestrator.supervisor.lease import Driver
from orchestrator.terminal.plain_console import PlainConsole
from orchestrator.text import clock, counted, program, settings_line, short, sparkline

if TYPE_CHECKING:
    from orchestrator.analysis.comparison import Result

STYLES = {
    "complete": "green",
    "pruned": "yellow",
    "diverged": "magenta",
    "out_of_memory": "magenta",
    "failed": "red",
    "running": "cyan",
}


NAMED = 2  # places that are named in a cell
COURSE = 12  # letters for how a trial went


def console() -> Console:
    """Standard output; where it is no terminal, wide enough for a row to stay one line."""
    return PlainConsole() if Console().is_terminal else PlainConsole(width=200)


def bold(words: str) -> Text:
    """A text that stands out."""
    return Text(words, "bold")


def sweep(book: Book, only: int | None = None) -> Group:
    """A sweep whole: what it asks, who drives it, what was asked of it, its trials (or the ``only`` best ones)."""
    spec, driver = book.spec, lease.present(book)
    lines = [
        Text.assemble((spec.name, "bold"), f": {spec.question}"),
        Text(
            f"{len(book.finished())} of {book.total()} trials finished · data {spec.data} · "
            f"sampler {spec.history_text('sampler')} · pruner {spec.history_text('pruner')} · "
            f"seed {spec.seed} · MLflow {spec.tracking_uri}"
        ),
    ]
    if len(book.finished()) > 1:
        lines.append(_history(book))
    if driver:
        lines.append(
            Text(f"{driver.state}, driven by process {driver.process} on {driver.host} since {driver.since}", "cyan")
        )
    elif completion.is_closing(book):
        lines.append(
            Text(
                "all trials have ended, but figures, champion and records are not complete; "
                f"complete them with: {program()} resume {spec.name}",
                "yellow",
            )
        )
    for request in commands.requests(book).values():
        lines.append(Text(f"{request.at} {request.do} by {request.by}: {request.answer or 'not answered yet'}", "dim"))
    lines += [Text(spec.caution, "yellow")] if spec.caution else []
    lines += [Text(f"went on although it had changed: {drift.what}", "yellow") for drift in spec.drifts]
    shown = [trials(book, only, driver)]
    if spec.comparison is not None and book.finished():
        from orchestrator.analysis import comparison

        shown += [arms(comparison.result(spec.comparison, comparison.compared(book), *spec.objectives[0]))]
    return Group(*lines, *[part for table in shown for part in (Text(), table)])


def _history(book: Book) -> Text:
    """The first objective over the trials."""
    done = book.finished()
    values = [trial.values[0] if trial.values else None for trial in done]
    known = [value for value in values if value is not None]
    ends = f"  {short(min(known))} to {short(max(known))}" if known else ""
    return Text(f"{book.spec.objectives[0][0]} over trials {sparkline(values, 60)}{ends}; · is a trial without a value")


def trials(book: Book, only: int | None = None, driver: Driver | None = None) -> Table:
    """A row a trial, by number; or the ``only`` best ones, the best first. ``driver`` drives the sweep, see lease.present."""
    goals = [f"{key} {'↓' if direction == 'minimize' else '↑'}" for key, direction in book.spec.objectives]
    shown = book.trials() if only is None else book.best(only)
    best = book.best()
    table = _table("trial", "outcome", *goals, "course", "time", "MLflow run", "settings")
    for column in (0, *range(2, 2 + len(goals)), 3 + len(goals)):
        table.columns[column].justify = "right"
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    for trial in shown:
        outcome, deaths, course = lease.outcome(driver, trial), len(trial.deaths), trial.course
        reason = trial.reason or (driver.trials.get(trial.number, "") if driver else "")
        values = [f"{value:.4g}" for value in trial.latest]
        values += [""] * (len(goals) - len(values))
        mark = "★ " if best and trial.number == best[0].number else ""
        table.add_row(
            str(trial.number),
            Text(
                outcome + (f": {reason}" if reason else "") + (f" ({counted(deaths, 'death')})" if deaths else ""),
                STYLES.get(outcome, ""),
            ),
            mark + values[0],
            *values[1:],
            sparkline(course, COURSE) if len(course) > 1 else "",
            clock(trial.seconds),
            Text(run_of(book.spec, trial)[:8], "dim"),
            settings_line(trial.params),
        )
    return table


def arms(result: "Result") -> Table:
    """A row an arm of a comparison; how soon it was, where that is known."""
    from orchestrator.analysis.comparison import interval_text

    timed = any(arm.reached for arm in result.arms)
    speed = (f"reached {short(result.mark)}", "at") if timed else ()
    table = _table("arm", "completed", f"{result.objective} (95 % interval)", *speed, "settings")
    for i, arm in enumerate(result.arms):
        quality = arm.quality.get(result.objective)
        cost = arm.updates if arm.evaluations is None else arm.evaluations
        unit = "updates" if arm.evaluations is None else "network evaluations"
        soon = (f"{arm.reached}/{arm.trials}", f"{cost:,.0f} {unit}" if cost is not None else "") if timed else ()
        table.add_row(
            ("★ " if i == result.best else "") + str(i),
            f"{round(arm.completed.mean * arm.trials)}/{arm.trials}",
            interval_text(quality) if quality else "",
            *soon,
            arm.name + (f" (dropped: {arm.dropped})" if arm.dropped else ""),
        )
    return table


def sweeps(books: list[Book]) -> Table:
    """A row a sweep."""
    table = _table("sweep", "study", "data", "trials", "running", "best", "objective", "begun")
    for column in (3, 4, 5):
        table.columns[column].justify = "right"
    for book in books:
        best = book.best()
        everything = book.trials()
        begun = min((trial.began for trial in everything if trial.began), default=None)
        table.add_row(
            book.spec.name,
            book.spec.study,
            book.spec.data,
            f"{len(book.finished())}/{book.total()}",
            _running(book),
            f"{best[0].values[0]:.4g}" if best else "",
            book.spec.objectives[0][0],
            f"{begun:%Y-%m-%d %H:%M}" + (" UTC" if begun.tzinfo is None else "") if begun else "",
        )
    return table


def _running(book: Book) -> str:
    """How many trials of a sweep run; else how many wait to go on from their checkpoints, or that it is not complete yet."""
    left = book.trials_running()
    if left:
        driver = lease.present(book)
        running = len(lease.running(driver, left))
        return f"{running}{_places(driver)}" if driver and running else f"{len(left)} stopped"
    return completion.CLOSING if completion.is_closing(book) else ""


def _places(driver: Driver) -> str:
    """Where the trials of a sweep on a cluster are: by name where that is short."""
    places = sorted(set(driver.places))
    return f" on {', '.join(places)}" if 0 < len(places) <= NAMED else f" in {len(places)} places" if places else ""


def space(parameters: Mapping[str, Any], fixed: Mapping[str, Any]) -> Table:
    """A row a searched parameter."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, parameter in parameters.items():
        table.add_row(f"  {name}", f"= {fixed[name]} (held)" if name in fixed else str(parameter))
    for name in sorted(fixed.keys() - parameters.keys()):
        table.add_row(f"  {name}", f"= {fixed[name]} (held, outside)")
    return table


def verdict(result: "Result") -> Group:
    """A comparison's arms, and what they support in words."""
    from rich.markdown import Markdown

    from orchestrator.analysis import comparison

    return Group(arms(result), "", Markdown(comparison.verdict(result)))


def settings(config: BaseModel, searched: Collection[str]) -> Table:
    """One row for each setting that is not searched: name, value, meaning with the values it can take."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, field in type(config).model_fields.items():
        if name not in searched:
            meaning = [" | ".join(named_values(field.annotation)), field.description or ""]
            table.add_row(f"  {name}", str(getattr(config, name)), ": ".join(filter(None, meaning)))
    return table


def named_values(annotation: Any) -> list[str]:
    """The values of a setting that takes one of several, also where it may be None; [] for any other type."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [value for part in get_args(annotation) for value in named_values(part)]


def pairs(rows: Mapping[str, Any]) -> Table:
    """A row a pair."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(f"  {name}", str(value))
    return table


def print_plan(
    console: Console, spec: Spec, resources: Resources, exists: bool, notes: Sequence[str], training: str
) -> None:
    """What a sweep would do, whole, with ``notes`` on its search and how long its ``training`` takes: for --dry-run."""
    state = "exists, would go on" if exists else "new"
    console.print(bold(spec.name), f"({state}): {spec.question}", highlight=False)
    rows = {
        "study": spec.study,
        "objectives": ", ".join(f"{direction} {key}" for key, direction in spec.objectives),
        "data": f"{spec.data} ({'×'.join(map(str, spec.image_shape))})",
        "trials": spec.trials,
        "sampler, pruner, seed": f"{spec.sampler}, {spec.pruner}, {spec.seed}",
        "workers": f"{len(resources.devices)} on {', '.join(sorted(set(resources.devices)))}, threads each: {resources.threads}",
        **({"training": training} if training else {}),
        "files": spec.folder,
        "MLflow": spec.tracking_uri,
    }
    console.print(pairs(rows))
    for note in notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    console.print("search space:")
    console.print(space(spec.parameters(), spec.fixed))
    console.print("settings:")
    console.print(pairs({key: value for key, value in spec.shared.items() if key not in spec.fixed}))


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
