"""The commands that run sweeps: ``sweep run | compare | resume``."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator import options
from orchestrator.cli.manage import ask
from orchestrator.cli.options import all_options, storage_option
from orchestrator.cli.sweeps import complete_study, complete_sweep, load_book, make_console, open_books
from orchestrator.errors import INTERRUPTED, UserError
from orchestrator.search import capabilities
from orchestrator.search.options import ComparisonOptions, ResumeOptions, SearchOptions, SweepOptions, Variation
from orchestrator.supervisor.options import MachineOptions

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.search.book import Book

BREAK = "\n\n\b\n"  # between paragraphs whose lines click leaves as they are
dry_run_option = click.option("--dry-run", is_flag=True, help="Print what would be done and stop.")
yes_option = click.option(
    "--yes", is_flag=True, envvar="SWEEP_YES", help="Start although it takes more than a day here.  [env: SWEEP_YES]"
)


@click.command(short_help="Search the space of STUDY.", epilog=f"\b\n{capabilities.text().replace(chr(10) * 2, BREAK)}")
@click.argument("study", shell_complete=complete_study)
@all_options(SearchOptions, SweepOptions)
@dry_run_option
@yes_option
@all_options(MachineOptions)
def run(study: str, dry_run: bool, yes: bool, **values: Any) -> None:
    """Search the space of STUDY: a name that `sweep studies` lists, or a Python file of your own.

    \b
    sweep run ebm --trials 40 --workers 2
    sweep run ebm --data mnist --device cuda --set width=64
    sweep run ebm --fix start=noise --sampler random --dry-run
    sweep run dvae --data mnist,fashion_mnist     a sweep each, and a page that compares them
    """
    _begin(study, dry_run, yes, values)


@click.command(short_help="Compare settings of STUDY over seeds, with a verdict in words.")
@click.argument("study", shell_complete=complete_study)
@all_options(Variation, ComparisonOptions, SweepOptions)
@dry_run_option
@yes_option
@all_options(MachineOptions)
def compare(study: str, dry_run: bool, yes: bool, **values: Any) -> None:
    """Compare settings of STUDY: every combination with the same seeds, then intervals, paired tests and a verdict in words.

    \b
    sweep compare ebm --vary start=noise,replay --vary schedule=constant,geometric
    sweep compare ebm --vary n_steps=10,20,40 --seeds 8 --race
    sweep resume ebm-compared-digits-1 --trials 40     more seeds
    """
    if not values["vary"]:
        raise UserError("nothing is compared; name a setting with the values to compare: --vary n_steps=10,20")
    _begin(study, dry_run, yes, values)


def _begin(study: str, dry_run: bool, yes: bool, values: dict[str, Any]) -> None:
    """Make a sweep for each data set, or find it, and drive it."""
    import studies
    from orchestrator.search import combinations, plan
    from orchestrator.search.options import request
    from orchestrator.supervisor import estimate
    from orchestrator.supervisor.machine import check, machine
    from orchestrator.terminal import tables
    from orchestrator.tracking import datasets_page

    console = make_console()
    machine_values = {name: values.pop(name) for name in MachineOptions.__annotations__}
    check(machine_values)  # refused before anything waits for torch
    whole = request(study, **values)
    data_sets = datasets_page.data_sets(whole.options["data"])
    names = datasets_page.names(whole.options["name"], data_sets)
    requests = [whole.with_data(data, name) for data, name in zip(data_sets, names, strict=True)]
    storage = open_books(whole.options["storage"])
    specs = [plan.resolve(sweep_request, storage) for sweep_request in requests]
    stored = [plan.settle(spec, storage) for spec in specs]
    machines = [machine(spec, machine_values).share(len(specs)) for spec in specs]
    if dry_run:
        for spec, book, place in zip(specs, stored, machines, strict=True):
            training = estimate.sentence(spec, place) if book is None else ""
            notes = combinations.notes(spec, studies.load(study))
            tables.print_plan(console, spec, place.resources, book is not None, notes, training)
        return
    from orchestrator import session

    parent_run = session.parent_run()
    sweep_run = "" if len(specs) > 1 else parent_run  # else the run is the page's
    trials = whole.options["trials"]
    changes = [session.check(spec, book, trials, storage, parent_run) for spec, book in zip(specs, stored, strict=True)]
    if None in stored:
        if not yes:
            plans = zip(specs, machines, stored, strict=True)
            estimate.check((spec, place) for spec, place, book in plans if book is None)
        storage = open_books(whole.options["storage"], create=True)  # now, for nothing is refused any more
    books, statuses = list["Book"](), list[int]()
    for spec, book, place, changed in zip(specs, stored, machines, changes, strict=True):
        books.append(book or session.make(spec, storage, sweep_run))
        statuses.append(session.drive(books[-1], place, console, sweep_run, changed))
        if statuses[-1] == INTERRUPTED:
            break
    if len(books) == len(specs) > 1:
        _compare_data_sets(books, parent_run, console)
    raise SystemExit(max(statuses))


def _compare_data_sets(books: "list[Book]", parent_run: str, console: "Console") -> None:
    """One page about sweeps of one study on several data sets."""
    from pathlib import Path

    from rich.markdown import Markdown

    from orchestrator.tracking import connection, datasets_page

    spec = books[0].spec
    store = connection.connect(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem)
    console.print(Markdown(datasets_page.page(books, store, parent_run or None)))


@click.command(short_help="Continue the sweep NAME, to its total or a new one.")
@click.argument("name", shell_complete=complete_sweep)
@all_options(ResumeOptions)
@all_options(MachineOptions)
@click.option("--moved", is_flag=True, help="The folder was moved here from another machine, for good, or is lost.")
@storage_option
def resume(name: str, moved: bool, storage: str | None, **values: Any) -> None:
    """Continue the sweep NAME: trials that were interrupted continue as themselves, then new ones up to its total.

    A paused sweep continues in the process that runs it.

    \b
    sweep resume ebm-digits-1                 to the total that it has
    sweep resume ebm-digits-1 --trials 24     to 24 trials in all
    sweep resume ebm-digits-1 --sampler random     trials to come are chosen by another sampler
    sweep resume ebm-digits-1 --tracking-uri sqlite:///mlflow.db     MLflow is there now, with its runs
    """
    from orchestrator.supervisor import lease
    from orchestrator.supervisor.machine import check, machine

    wanted = {name: values.pop(name) for name in ResumeOptions.__annotations__}
    wanted = options.given(options.read(ResumeOptions), wanted, "sweep resume")
    check(values)
    book = load_book(open_books(storage), name, moved)
    driver = lease.present(book)
    if driver is not None and driver.state == "paused" and not wanted and not moved:
        return ask(book, driver, "resume")
    if driver is not None:
        raise lease.driven(book, driver)
    from orchestrator import session
    from orchestrator.transfer import readdress

    changes = readdress.resumed(book, wanted, moved)
    place = machine(book.spec.model_copy(update=changes), values)
    raise SystemExit(session.drive(book, place, make_console(), session.parent_run(), changes))


COMMANDS: tuple[click.Command, ...] = (run, compare, resume)
