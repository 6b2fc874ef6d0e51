"""The commands that change sweeps: ``sweep stop | pause | extend | skip | enqueue | sync | rm | doctor``."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import SECONDS, WHOLE, Pairs, storage_option
from orchestrator.cli.sweeps import complete_sweep, complete_trial, load_book, make_console, open_books, sweep_command
from orchestrator.errors import UserError

if TYPE_CHECKING:
    from orchestrator.stores.optuna_storage import Storage

ANSWER_SECONDS = 30.0  # how long a supervisor may take to answer; on a busy machine it takes seconds


@sweep_command
@click.option("--now", is_flag=True, help="Have running trials leave with a checkpoint instead of ending them.")
def stop(name: str, now: bool, storage: str | None) -> None:
    """End the sweep NAME when its running trials have ended; `sweep resume` goes on with it.

    \b
    sweep stop ebm-digits-1
    sweep stop ebm-digits-1 --now      within seconds, running trials keep their checkpoints
    """
    ask_driver(open_books(storage), name, "stop", now=now)


@sweep_command
def pause(name: str, storage: str | None) -> None:
    """Free the machine for a while: running trials of NAME leave with checkpoints, `sweep resume NAME` goes on.

    \b
    sweep pause ebm-digits-1
    """
    ask_driver(open_books(storage), name, "pause")


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
    books = open_books(storage)
    if ask_driver(books, name, "extend", idle=trials is not None, trials=trials, timeout=timeout):
        return
    book = load_book(books, name)
    with lease.acquire_lease(book):
        steer.total(book, trials or 1)
    make_console().print(
        f"{name}: its total is {book.total()}; go on with:  {text.program()} resume {name}", highlight=False
    )


@sweep_command
@click.argument("trial", type=click.IntRange(min=0), shell_complete=complete_trial)
def skip(name: str, trial: int, storage: str | None) -> None:
    """Prune TRIAL of the sweep NAME: it ends now, and counts as tried.

    \b
    sweep skip ebm-digits-1 7
    """
    ask_driver(open_books(storage), name, "skip", trial=trial)


@sweep_command
@click.argument("settings", nargs=-1, required=True, type=Pairs(), metavar="PARAM=VALUE…")
def enqueue(name: str, settings: tuple[list[str], ...], storage: str | None) -> None:
    """Try a configuration next in the sweep NAME, running or not; parameters that are not named are the sampler's.

    \b
    sweep enqueue ebm-digits-1 step_size=10 n_steps=40
    """
    from orchestrator.search import steer
    from orchestrator.supervisor import lease

    books = open_books(storage)
    book = load_book(books, name)
    params = steer.configuration(book, [pair for pairs in settings for pair in pairs])
    if ask_driver(books, name, "enqueue", idle=True, params=params):
        return
    with lease.acquire_lease(book):
        book.enqueue(params)
    make_console().print(f"{name}: it is tried first when the sweep goes on", highlight=False)


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

    book = load_book(open_books(storage), name)
    contents = removal.describe(book, keep_runs)
    if not yes:
        click.confirm(f"remove {contents}?", abort=True)
    removal.remove(book, keep_runs)
    make_console().print(f"removed {contents}", highlight=False)


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
    from orchestrator.search import book

    books = open_books(storage)
    names = [name] if name else book.names(books)
    raise SystemExit(doctor_.visit([load_book(books, sweep) for sweep in names], repair, make_console()))


def ask_driver(
    books: "Storage", name: str, command: Any, only: str | None = None, idle: bool = False, **details: Any
) -> bool:
    """Ask the sweep's supervisor for something and print its answer; returns whether there was one to ask.

    ``only`` is the state in which it is asked at all. UserError where nobody drives the sweep, unless it may be ``idle``.
    """
    from orchestrator.search import completion
    from orchestrator.supervisor import commands, lease

    book = load_book(books, name)
    driver = lease.present(book)
    if driver is None and not idle and only is None:
        raise UserError(f"nobody drives sweep '{name}'; `sweep show {name}` tells where it stands")
    if driver is None or only is not None and driver.state != only:
        return False
    if driver.state == completion.CLOSING:
        raise UserError(
            f"sweep '{name}' has just ended and its figures are being drawn; wait for that, then go on with "
            f"`sweep resume {name}`"
        )
    key = commands.post(book, command, **details)
    answer = commands.wait(book, key, ANSWER_SECONDS)
    if answer is None:
        raise UserError(
            f"process {driver.process} on {driver.host}, which drives sweep '{name}', did not answer yet; it will"
        )
    make_console().print(f"{name}: {answer}", highlight=False, soft_wrap=True)
    return True


COMMANDS: tuple[click.Command, ...] = (stop, pause, extend, skip, enqueue, sync, rm, doctor)
