"""The commands: those that run sweeps are here, those that look at them and steer them in ``cli_sweeps``.

Heavy imports are made inside the commands.
"""

import os
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import manage as cli_sweeps
from orchestrator.cli import report as cli_reports
from orchestrator.cli.manage import complete_sweep, make_console, open_books, print_json
from orchestrator.cli.options import (
    TEXT,
    WHOLE,
    Group,
    Pairs,
    Words,
    json_option,
    machine_options,
    storage_option,
    sweep_options,
)
from orchestrator.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.devices import Resources
    from orchestrator.search.book import Book
    from orchestrator.search.plan import Options


def complete_study(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Studies that begin with what was typed."""
    import studies

    return [name for name in studies.names() if name.startswith(incomplete)]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="generative-sweeps", prog_name="sweep")
def main() -> None:
    """Search the settings of deep generative models; every trial is tracked in MLflow.

    \b
    sweep studies                            what can be asked, and what is searched
    sweep run ebm --trials 12                search, and name the sweep ebm-digits-1
    sweep compare ebm --vary start=noise,replay     settings against each other, over seeds
    sweep show ebm-digits-1 --watch          its trials in a table, from any terminal
    sweep show ebm-digits-1 7                one trial whole, with its samples
    sweep report ebm-digits-1                what was found, as one HTML file
    sweep sample ebm-digits-1 --n 64         new images by its best trial
    sweep resume ebm-digits-1 --trials 24    go on to 24 trials in all
    sweep stop ebm-digits-1                  end it; pause, extend, skip and enqueue steer it
    sweep ui                                 look at losses, samples and curves

    \b
    Names are completed by the Tab key after one of these, kept in the shell's own start file:
      bash   eval "$(_SWEEP_COMPLETE=bash_source sweep)"
      zsh    eval "$(_SWEEP_COMPLETE=zsh_source sweep)"
      fish   _SWEEP_COMPLETE=fish_source sweep | source
    """


@main.command(short_help="Search the space of STUDY.")
@click.argument("study", shell_complete=complete_study)
@click.option("--trials", type=WHOLE, metavar="N", help="Trials in all.  [default: the study's own, often 12]")
@click.option(
    "--fix",
    type=Pairs(),
    multiple=True,
    metavar="PARAM=VALUE",
    help="Hold a searched parameter at a value; repeatable.",
)
@click.option(
    "--sampler",
    type=TEXT,
    metavar="NAME",
    help="tpe, random, grid, gp or cmaes (which is blind to divergence).  [default: tpe]",
)
@click.option("--pruner", type=TEXT, metavar="NAME", help="median, asha, hyperband or none.  [default: median]")
@sweep_options
@machine_options
def run(
    study: str,
    trials: int | None,
    fix: tuple[list[str], ...],
    sampler: str | None,
    pruner: str | None,
    **common: Any,
) -> None:
    """Search the space of STUDY: a name that `sweep studies` lists, or a Python file of your own.

    \b
    sweep run ebm --trials 40 --workers 2
    sweep run ebm --data mnist --device cuda --set width=64
    sweep run ebm --fix start=noise --sampler random --dry-run
    sweep run dvae --data mnist,fashion_mnist     a sweep each, and a page that compares them
    """
    from orchestrator.search.plan import Options

    options = Options(
        study=study,
        trials=trials,
        fix=[pair for pairs in fix for pair in pairs],
        sampler=sampler or "tpe",
        pruner=pruner or "median",
    )
    _begin(options, **common)


@main.command(short_help="Compare settings of STUDY over seeds, with a verdict in words.")
@click.argument("study", shell_complete=complete_study)
@click.option(
    "--vary",
    type=Words(),
    multiple=True,
    required=True,
    metavar="SETTING=VALUE,VALUE",
    help="A setting and the values to compare; repeatable: all combinations are played.",
)
@click.option(
    "--seeds", type=WHOLE, metavar="N", help="Trials of each combination, each with another seed.  [default: 5]"
)
@click.option("--race", is_flag=True, help="Drop combinations as soon as they are worse than the best beyond doubt.")
@sweep_options
@machine_options
def compare(study: str, vary: tuple[list[str], ...], seeds: int | None, race: bool, **common: Any) -> None:
    """Compare settings of STUDY: every combination with the same seeds, then intervals, paired tests and a verdict in words.

    \b
    sweep compare ebm --vary start=noise,replay --vary schedule=constant,geometric
    sweep compare ebm --vary n_steps=10,20,40 --seeds 8 --race
    sweep resume ebm-compared-digits-1 --trials 40     more seeds
    """
    from orchestrator.search.plan import Options

    settings = [setting for settings in vary for setting in settings]
    _begin(Options(study=study, vary=settings, seeds=seeds or 5, race=race), **common)


def _begin(
    options: "Options",
    name: str | None,
    data: str | None,
    model: str | None,
    data_folder: str | None,
    set_: tuple[list[str], ...],
    seed: int | None,
    storage: str | None,
    tracking_uri: str | None,
    deterministic: bool,
    dry_run: bool,
    workers: int | None,
    device: str | None,
    **limits: Any,
) -> None:
    """Make a sweep, or find it, and drive it."""
    from dataclasses import replace

    from orchestrator import devices
    from orchestrator.search import plan
    from orchestrator.terminal import tables
    from orchestrator.tracking import datasets_page as across

    console = make_console()
    devices.resolve(device or "auto", workers, 1)  # refused before anything waits for torch
    options = replace(
        options,
        model=model,
        data_folder=data_folder or "data",
        set=[pair for pairs in set_ for pair in pairs],
        seed=seed or 0,
        deterministic=deterministic,
        tracking_uri=tracking_uri,
    )
    sets = across.data_sets(data)
    asked = [replace(options, data=one, name=its) for one, its in zip(sets, across.names(name, sets), strict=True)]
    books = open_books(storage, create=not dry_run)
    settled = [(spec, plan.settle(spec, books)) for spec in (plan.resolve(one, books) for one in asked)]
    rooms = [plan.room(spec, device, workers) for spec, _ in settled]
    if dry_run:
        for (spec, book), room in zip(settled, rooms, strict=True):
            tables.print_plan(console, spec, room, book is not None)
        return
    from orchestrator import session

    made = across.claim_parent_run() if len(asked) > 1 else None
    timeout, driven, statuses = limits.pop("timeout"), [], []
    for (spec, book), room in zip(settled, rooms, strict=True):
        driven.append(session.book_of(spec, book, options.trials, books))
        share = None if timeout is None else timeout / len(asked)
        statuses.append(_drive(driven[-1], room, workers == 0, console, timeout=share, **limits))
        if statuses[-1] == session.INTERRUPTED:
            break
    if len(driven) == len(asked) > 1:
        _compare(driven, made, console)
    raise SystemExit(max(statuses))


def _compare(driven: list["Book"], made: str | None, console: "Console") -> None:
    """One page about sweeps of one study on several data sets."""
    from pathlib import Path

    from rich.markdown import Markdown

    from orchestrator.tracking import datasets_page as across
    from orchestrator.tracking import mlflow_store as tracker

    spec = driven[0].spec
    store = tracker.connect(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem)
    console.print(Markdown(across.page(driven, store, made)))


@main.command(short_help="Go on with the sweep NAME, to its total or a new one.")
@click.argument("name", shell_complete=complete_sweep)
@click.option("--trials", type=WHOLE, metavar="N", help="A new total.  [default: the one that it has]")
@machine_options
@click.option(
    "--accept-drift", is_flag=True, help="Go on although study or data have changed since, and keep that with it."
)
@storage_option
def resume(
    name: str,
    trials: int | None,
    accept_drift: bool,
    storage: str | None,
    workers: int | None,
    device: str | None,
    **limits: Any,
) -> None:
    """Go on with the sweep NAME: trials that were interrupted continue as themselves, then new ones up to its total.

    Where it is paused, its supervisor goes on with it.

    \b
    sweep resume ebm-digits-1                 to the total that it has
    sweep resume ebm-digits-1 --trials 24     to 24 trials in all
    """
    books = open_books(storage)
    if cli_sweeps.ask_driver(books, name, "resume", only="paused"):
        return
    from orchestrator import devices
    from orchestrator.search import plan

    devices.resolve(device or "auto", workers, 1)
    book = plan.resumed(books, name, trials, accept_drift)
    room = plan.room(book.spec, device, workers)
    raise SystemExit(_drive(book, room, workers == 0, make_console(), **limits))


@main.command("studies", short_help="List the questions, what they search, and all settings of one.")
@click.argument("study", required=False, shell_complete=complete_study)
@click.option("--data", type=TEXT, help="Show ranges and settings for this data set.  [default: the study's]")
@click.option("--data-folder", type=TEXT, envvar="SWEEP_DATA", help="Where downloads are kept.  [default: data]")
@json_option
def studies_(study: str | None, data: str | None, data_folder: str | None, as_json: bool) -> None:
    """List what can be run: each question with its search space; with STUDY, its other settings as well.

    \b
    sweep studies
    sweep studies ebm --data mnist
    sweep studies --json
    """
    from pathlib import Path

    import studies
    from models.data import dataset as datasets
    from orchestrator.terminal import as_json as plain
    from orchestrator.terminal import tables
    from studies.parts import space as _space
    from studies.parts.study import StudyError

    console = make_console()
    try:
        found = {name: studies.load(name) for name in ([study] if study else studies.names())}
        folder = Path(data_folder or "data")
        bases = {name: one.base(datasets.Reader(data or one.data, folder).shape) for name, one in found.items()}
        if as_json:
            print_json([plain.study(name, one, bases[name]) for name, one in found.items()])
            return
        for name, loaded in found.items():
            base = bases[name]
            space = _space.describe(loaded.space, base)
            goals = ", ".join(f"{goal.direction} {goal.key}" for goal in loaded.objectives)
            console.print(f"[bold]{name}[/]  {' '.join(loaded.question.split())}\n  to {goals}; {loaded.trials} trials")
            console.print(tables.space(space, {}))
            if study:
                console.print("settings, changed by --set:")
                console.print(tables.settings(base, set(space)))
    except (StudyError, datasets.DataError) as error:
        raise UserError(str(error)) from None


@main.command(short_help="Open the MLflow pages of a sweep.")
@click.argument("name", required=False, shell_complete=complete_sweep)
@click.option("--folder", type=click.Path(exists=True, file_okay=False), default=".", help="Where the sweeps were run.")
@click.option("--tracking-uri", type=TEXT, metavar="URI", help="MLflow store.  [default: mlflow.db in the folder]")
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--dashboard", is_flag=True, help="Serve optuna-dashboard as well, at the next port.")
@click.option("--auth", is_flag=True, help="Switch MLflow's accounts on: who has none sees nothing.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@storage_option
def ui(
    name: str | None,
    folder: str,
    tracking_uri: str | None,
    port: int,
    host: str,
    dashboard: bool,
    auth: bool,
    no_browser: bool,
    storage: str | None,
) -> None:
    """Open the MLflow pages of the newest sweep in this folder, of the sweep NAME, or of another folder.

    \b
    sweep ui
    sweep ui ebm-digits-1 --dashboard
    sweep ui --folder experiments --port 5001
    """
    from pathlib import Path

    from orchestrator.stores import optuna_storage
    from orchestrator.tracking import server

    place = Path(folder).absolute()
    kept = (
        storage
        or os.environ.get("SWEEP_STORAGE")
        or f"sqlite:///{place / optuna_storage.DEFAULT_STORAGE.removeprefix('sqlite:///')}"
    )
    wanted = server.Wanted(name, place, tracking_uri, kept if dashboard else None, host, port, auth, not no_browser)
    server.serve(wanted, make_console())


def _drive(
    book: "Book",
    room: "Resources",
    inline: bool,
    console: "Console",
    timeout: float | None,
    trial_timeout: float | None,
    silence: float | None,
    deaths: int | None,
    checkpoint_every: float | None,
) -> int:
    from orchestrator import session
    from orchestrator.supervisor.limits import Limits

    default = Limits()
    quiet = default.silence if silence is None else silence or None
    patience = Limits(checkpoint_every or default.checkpoint, quiet, trial_timeout, deaths or default.deaths)
    return session.drive(book, room, inline, timeout, patience, console)


cli_sweeps.add_to(main)
cli_reports.add_to(main)
