"""The commands that look: ``sweep list | show | studies | ui``."""

import os

import click

from orchestrator.cli.options import TEXT, WHOLE, Whole, json_option, option, storage_option
from orchestrator.cli.sweeps import (
    complete_study,
    complete_sweep,
    complete_trial,
    make_console,
    open_books,
    print_json,
    sweep_command,
)
from orchestrator.errors import UserError
from orchestrator.search.options import SweepOptions


@click.command("list")
@json_option
@storage_option
def list_(as_json: bool, storage: str | None) -> None:
    """List the sweeps here: how far each is and its best value.

    \b
    sweep list
    sweep list --json
    """
    from orchestrator.search import book, home
    from orchestrator.supervisor import lease
    from orchestrator.terminal import as_json as plain
    from orchestrator.terminal import tables

    books = open_books(storage)
    console, sweeps = make_console(), []
    for name in book.names(books):
        try:
            sweeps.append(book.load(books, name))
        except UserError as error:  # its files are another sweep's; the others are whole
            click.echo(str(error), err=True)
    if not book.names(books) and (lost := home.unknown(str(books.url))):
        raise UserError(lost)
    if as_json:
        print_json([plain.sweep(sweep, lease.present(sweep)) for sweep in sweeps])
    elif sweeps:
        console.print(tables.sweeps(sweeps))
    else:
        console.print("no sweeps here yet; begin one with:  sweep run ebm")


@sweep_command
@click.argument("trial", type=Whole(min=0), required=False, shell_complete=complete_trial)
@click.option("--best", type=WHOLE, metavar="N", help="Only the N best trials.")
@click.option("--watch", is_flag=True, help="Follow it until it ends, or until Ctrl-C, which ends only the looking.")
@json_option
def show(name: str, trial: int | None, best: int | None, watch: bool, as_json: bool, storage: str | None) -> None:
    """Show the trials of the sweep NAME, each with its settings, outcome and MLflow run, and who drives it; or one TRIAL whole.

    \b
    sweep show ebm-digits-1
    sweep show ebm-digits-1 --watch --best 5
    sweep show ebm-digits-1 7                with its samples, where the terminal has colours
    sweep show ebm-digits-1 --json
    """
    from orchestrator.search import book
    from orchestrator.supervisor import lease
    from orchestrator.terminal import as_json as plain
    from orchestrator.terminal import tables

    if watch and (as_json or trial is not None):
        raise UserError("--watch follows a whole sweep; leave out the trial and --json")
    books = open_books(storage)
    if trial is not None:
        from orchestrator.terminal import trial_view

        console, sweep = make_console(), book.load(books, name)
        if as_json:
            print_json(plain.trial(sweep, trial_view.find(sweep, trial), lease.present(sweep)))
        else:
            console.print(trial_view.view(sweep, trial, console))
    elif as_json:
        sweep = book.load(books, name)
        driver = lease.present(sweep)
        shown = sweep.trials() if best is None else sweep.best(best)
        print_json(
            {**plain.sweep(sweep, driver), "every_trial": [plain.trial(sweep, entry, driver) for entry in shown]}
        )
    elif watch:
        from orchestrator.terminal import follow

        follow.follow(books, name, best, make_console())
    else:
        make_console().print(tables.sweep(book.load(books, name), best))


@click.command("studies", short_help="List the questions, what they search, and all settings of one.")
@click.argument("study", required=False, shell_complete=complete_study)
@click.option("--data", type=TEXT, help="Show ranges and settings for this data set.  [default: the study's]")
@option(SweepOptions, "data_folder")
@json_option
def studies_(study: str | None, data: str | None, data_folder: str | None, as_json: bool) -> None:
    """List what can be run: each question with its search space; with STUDY, its other settings as well.

    \b
    sweep studies
    sweep studies ebm --data mnist
    sweep studies --json
    """
    from pathlib import Path
    from typing import Any

    import studies
    from models.data import dataset as datasets
    from models.data import kinds
    from orchestrator.search import combinations
    from orchestrator.terminal import as_json as plain
    from orchestrator.terminal import tables
    from studies.parts import space as _space
    from studies.parts.study import Study, StudyError

    def shown(definition: Study[Any, Any]) -> str:
        """The data asked for; the study's own in a list of all, where it reads data of another kind."""
        readable = data and (study or kinds.KINDS[definition.data_kind].is_named(data) or not kinds.is_named(data))
        return data if data and readable else definition.data

    console = make_console()
    try:
        definitions = {name: studies.load(name) for name in ([study] if study else studies.names())}
        folder = Path(data_folder or "data")
        bases = {
            name: definition.base(kinds.reader(shown(definition), folder, definition.data_kind).shape)
            for name, definition in definitions.items()
        }
        if as_json:
            print_json([plain.study(name, definition, bases[name]) for name, definition in definitions.items()])
            return
        for name, definition in definitions.items():
            base = bases[name]
            space = _space.describe(definition.space, base)
            goals = ", ".join(f"{goal.direction} {goal.key}" for goal in definition.objectives)
            console.print(
                tables.bold(name), f" {' '.join(definition.question.split())}\n  to {goals}; {definition.trials} trials"
            )
            console.print(tables.space(space, {}))
            if study:
                samplers, pruners, reasons = combinations.fitting(combinations.of_study(definition, base))
                console.print(f"samplers that fit: {', '.join(samplers)}; pruners: {', '.join(pruners)}")
                for reason in reasons:
                    console.print(f"  {reason}", highlight=False, soft_wrap=True)
                console.print("settings, changed by --set:")
                console.print(tables.settings(base, set(space)))
    except (StudyError, datasets.DataError) as error:
        raise UserError(str(error)) from None


@click.command(short_help="Open the MLflow pages of a sweep.")
@click.argument("name", required=False, shell_complete=complete_sweep)
@click.option("--folder", type=click.Path(exists=True, file_okay=False), default=".", help="Where the sweeps were run.")
@click.option("--tracking-uri", type=TEXT, metavar="URI", help="MLflow store.  [default: mlflow.db in the folder]")
@click.option("--port", type=Whole(0, 65535), default=5000, show_default=True)
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

    from orchestrator.search import moved_folder
    from orchestrator.stores import optuna_storage, sqlite, urls
    from orchestrator.tracking import server

    place = Path(folder).absolute()
    default, tracking = (
        sqlite.address(place / address.removeprefix(sqlite.PREFIX))
        for address in (optuna_storage.DEFAULT_STORAGE, urls.TRACKING)
    )
    given = storage or os.environ.get("SWEEP_STORAGE", "").strip()
    shown_storage = optuna_storage.address(storage)[0] if given else default
    try:
        moved_folder.settle(place, open_books(default), tracking)
    except UserError as error:  # pages without pictures are better than none
        click.echo(str(error), err=True)
    wanted = server.Wanted(
        name, place, tracking_uri, shown_storage if dashboard else None, host, port, auth, not no_browser
    )
    server.serve(wanted, make_console())


COMMANDS: tuple[click.Command, ...] = (list_, show, studies_, ui)
