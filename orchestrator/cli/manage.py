"""The commands that change sweeps: ``sweep stop | pause | extend | skip | enqueue | sync | rm | doctor``."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import SECONDS, WHOLE, Pairs, Whole, storage_option
from orchestrator.cli.sweeps import complete_sweep, complete_trial, load_book, make_console, open_books, sweep_command
from orchestrator.errors import UserError

if TYPE_CHECKING:
    from orchestrator.search.book import Book
    from orchestrator.supervisor.commands import Command
    from orchestrator.supervisor.lease import Driver

ANSWER_SECONDS = 30.0  # how long a supervisor may take to answer; on a busy machine it takes seconds


@sweep_command
@click.option("--now", is_flag=True, help="Have running trials leave with a checkpoint instead of ending them.")
def stop(name: str, now: bool, storage: str | None) -> None:
    """End the sweep NAME when its running trials have ended; `sweep resume` goes on with it.

    \b
    sweep stop ebm-digits-1
    sweep stop ebm-digits-1 --now      within seconds, running trials keep their checkpoints
    """
    book = load_book(open_books(storage), name)
    ask(book, find_driver(book), "stop", now=now)


@sweep_command
def pause(name: str, storage: str | None) -> None:
    """Free the machine for a while: running trials of NAME leave with checkpoints, `sweep resume NAME` goes on.

    \b
    sweep pause ebm-digits-1
    """
    book = load_book(open_books(storage), name)
    ask(book, find_driver(book), "pause")


@sweep_command
@click.option("--trials", type=WHOLE, metavar="N", help="The new total.")
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help="Start trials for this long, from now.")
def extend(name: str, trials: int | None, timeout: float | None, storage: str | None) -> None:
    """Give the sweep NAME, running or not, another total, or more time.

    \b
    sweep extend ebm-digits-1 --trials 40
    """
    from orchestrator import text
    from orchestrator.search import steer
    from orchestrator.supervisor import lease

    if trials is None and timeout is None:
        raise UserError("say how far: --trials N or --timeout SECONDS")
    book = load_book(open_books(storage), name)
    if trials is not None:
        steer.refuse_total(book, trials)
    driver = find_driver(book) if trials is None else lease.present(book)
    if driver is not None:
        return ask(book, driver, "extend", trials=trials, timeout=timeout)
    with lease.acquire_lease(book):
        book.update(trials=trials)
    make_console().print(
        f"{name}: its total is {book.total()}; go on with:  {text.program()} resume {name}", highlight=False
    )


@sweep_command
@click.argument("trial", type=Whole(min=0), shell_complete=complete_trial)
def skip(name: str, trial: int, storage: str | None) -> None:
    """Prune TRIAL of the sweep NAME: it ends now, and counts as tried.

    \b
    sweep skip ebm-digits-1 7
    """
    from orchestrator.search import steer

    book = load_book(open_books(storage), name)
    driver = find_driver(book)
    steer.refuse_skip(book, trial)
    ask(book, driver, "skip", trial=trial)


@sweep_command
@click.argument("settings", nargs=-1, required=True, type=Pairs(), metavar="PARAM=VALUE…")
def enqueue(name: str, settings: tuple[list[str], ...], storage: str | None) -> None:
    """Try a configuration next in the sweep NAME, running or not; parameters that are not named are the sampler's.

    \b
    sweep enqueue ebm-digits-1 step_size=10 n_steps=40
    """
    from orchestrator import text
    from orchestrator.search import steer
    from orchestrator.supervisor import lease

    book = load_book(open_books(storage), name)
    params = steer.configuration(book, [pair for pairs in settings for pair in pairs])
    driver = lease.present(book)
    if driver is not None:
        return ask(book, driver, "enqueue", params=params)
    with lease.acquire_lease(book):
        book.enqueue(params)
    total, wanted = book.total(), len(book.trials())
    message = f"{name}: {steer.already(book, params)}it is tried first when the sweep goes on"
    if wanted > total:
        message += f"; its total is {total} trials, so raise that:  {text.program()} resume {name} --trials {wanted}"
    make_console().print(message, highlight=False, soft_wrap=True)


@sweep_command
def sync(name: str, storage: str | None) -> None:
    """Deliver to MLflow what could not be delivered while the sweep NAME ran.

    \b
    sweep sync ebm-digits-1
    """
    from orchestrator import session

    raise SystemExit(session.sync(load_book(open_books(storage), name), make_console()))


@sweep_command
@click.option("--keep-runs", is_flag=True, help="Leave its runs and its model in MLflow.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(name: str, keep_runs: bool, yes: bool, storage: str | None) -> None:
    """Remove the sweep NAME: its trials, its files and, unless kept, its MLflow runs, which MLflow can restore.

    \b
    sweep rm ebm-digits-1 --keep-runs
    """
    from orchestrator.repair import removal
    from orchestrator.supervisor import lease

    opened = open_books(storage)
    book = load_book(opened, name)
    if driver := lease.present(book):
        raise lease.driven(book, driver)
    if cost := removal.cost(book, opened):
        click.echo(f"note: {cost}", err=True)
    contents = removal.describe(book, keep_runs)
    if not yes and not _confirmed(f"remove {contents}?"):
        click.echo(f"nothing was removed; `sweep rm {name} --yes` removes it without asking", err=True)
        raise SystemExit(1)
    removal.remove(book, keep_runs)
    make_console().print(f"removed {contents}", highlight=False)


def _confirmed(question: str) -> bool:
    """Whether somebody says yes. Ctrl-C and an input without an answer say no."""
    try:
        return click.confirm(question)
    except click.Abort:
        click.echo(err=True)
        return False


@click.command(short_help="Compare stores, files and processes; repair what does not fit.")
@click.argument("name", required=False, shell_complete=complete_sweep)
@click.option("--repair", is_flag=True, help="Repair what was found, and nothing else.")
@storage_option
def doctor(name: str | None, repair: bool, storage: str | None) -> None:
    """Compare what Optuna, MLflow, checkpoints, outboxes and processes say of the sweep NAME, or of all sweeps here.

    Tells what does not fit and what it would do; exit status 1 where something was found and not repaired.

    \b
    sweep doctor
    sweep doctor ebm-digits-1 --repair
    """
    from orchestrator.repair import doctor as doctor_

    raise SystemExit(doctor_.examine(storage, name, repair, make_console()))


def find_driver(book: "Book") -> "Driver":
    """Who drives the sweep; UserError where nobody does."""
    from orchestrator.supervisor import lease

    driver, name = lease.present(book), book.spec.name
    if driver is None:
        raise UserError(f"nobody drives sweep '{name}'; `sweep show {name}` tells where it stands")
    return driver


def ask(book: "Book", driver: "Driver", command: "Command", **details: Any) -> None:
    """Ask the supervisor of a sweep for something and print its answer. UserError where it refuses."""
    from orchestrator.search import completion
    from orchestrator.supervisor import commands, lease

    name = book.spec.name
    if driver.state == completion.CLOSING:
        raise UserError(
            f"sweep '{name}' has just ended and its figures are being drawn; wait for that, then go on with "
            f"`sweep resume {name}`"
        )
    key = commands.post(book, command, **details)
    request = commands.wait(book, key, ANSWER_SECONDS, lambda: lease.present(book) is None)
    if request is None:
        click.echo(
            f"process {driver.process} on {driver.host}, which drives sweep '{name}', did not answer yet; it will",
            err=True,
        )
        raise SystemExit(1)  # not 2: it is no refusal, and will be done
    if request.refused:
        raise UserError(f"{name}: {request.answer}")
    make_console().print(f"{name}: {request.answer}", highlight=False, soft_wrap=True)


COMMANDS: tuple[click.Command, ...] = (stop, pause, extend, skip, enqueue, sync, rm, doctor)
