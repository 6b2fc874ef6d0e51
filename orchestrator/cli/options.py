"""The command line's own types, options that several commands share, and how a refusal is told."""

import re
from collections.abc import Callable
from typing import Any

import click

from orchestrator.errors import UserError


class Refused(click.ClickException):
    """Bad input: one sentence on standard error, exit status 2."""

    exit_code = 2


class Group(click.Group):
    """Turns a UserError from anywhere below into a refusal, and what the shell took for pairs of --set as well."""

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise Refused(str(error)) from None
        except click.UsageError as error:
            stray = re.search(r"unexpected extra arguments? \((\S+=.*)\)", error.message)
            if stray is None:
                raise
            raise Refused(f"'{stray[1]}' follows no option; part pairs by commas: --set a=1,b=2") from None


class Optional(click.ParamType[Any]):
    """A value of another type, or nothing where it is empty: `mlflow run` passes every parameter, given or not."""

    def __init__(self, inner: click.ParamType[Any]) -> None:
        self.inner, self.name = inner, inner.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        return None if value in ("", None) else self.inner.convert(value, param, ctx)


class Pairs(click.ParamType[list[str]]):
    """``key=value``, or several of them parted by spaces or commas."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """See click."""
        return value if isinstance(value, list) else [part for part in re.split(r"[\s,]+", value) if part]


class Words(click.ParamType[list[str]]):
    """Text, or several pieces of text separated by spaces."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """See click."""
        return value if isinstance(value, list) else value.split()


TEXT, WHOLE = Optional(click.STRING), Optional(click.IntRange(min=1))
SECONDS = Optional(click.FloatRange(min=0, min_open=True))


def storage_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--storage."""
    return click.option(
        "--storage",
        type=TEXT,
        metavar="URL",
        help="Optuna storage, any SQLAlchemy address.  [default: sqlite:///sweeps.db; env: SWEEP_STORAGE]",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


def sweep_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `sweep run` and `sweep compare` have in common, beside the machine."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Print what would be done and stop."),
        click.option(
            "--deterministic",
            is_flag=True,
            help="The same trials for any number of workers: they are asked and told in batches.",
        ),
        click.option(
            "--tracking-uri",
            type=TEXT,
            metavar="URI",
            help="MLflow store or server.  [default: $MLFLOW_TRACKING_URI or sqlite:///mlflow.db]",
        ),
        storage_option,
        click.option(
            "--seed", type=Optional(click.INT), metavar="N", help="Of the search and of every trial.  [default: 0]"
        ),
        click.option(
            "--set", "set_", type=Pairs(), multiple=True, help="Change a setting that is not searched; repeatable."
        ),
        click.option(
            "--data-folder",
            type=TEXT,
            envvar="SWEEP_DATA",
            metavar="PATH",
            help="Where downloads are kept.  [default: data]",
        ),
        click.option(
            "--model",
            type=TEXT,
            metavar="NAME",
            help="The trained network that the study begins with, if it does: champion, SWEEP, SWEEP/TRIAL or MLflow run.",
        ),
        click.option(
            "--data",
            type=TEXT,
            metavar="NAME",
            help="digits, persian, mnist, fashion_mnist, cifar10, folder:PATH, npz:FILE or hoda:FOLDER; several, parted by "
            "commas, are a sweep each.  [default: the study's]",
        ),
        click.option(
            "--name",
            type=TEXT,
            help="Name of the sweep; an unfinished one of that name goes on.  [default: STUDY-DATA-n]",
        ),
    ):
        command = option(command)
    return command


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--workers, --device and the limits of time and of deaths. They belong to the machine, so they are not kept with a sweep."""
    for option in (
        click.option(
            "--checkpoint-every", type=SECONDS, metavar="SECONDS", help="At most this much is lost.  [default: 30]"
        ),
        click.option(
            "--silence",
            type=Optional(click.FloatRange(min=0)),
            metavar="SECONDS",
            help="A worker that trains and says nothing for this time is hung, and replaced; 0 is never.  [default: 300]",
        ),
        click.option(
            "--deaths",
            type=Optional(click.IntRange(min=1)),
            metavar="N",
            help="A trial whose workers die so many times at the same checkpoint has failed; more where machines are taken "
            "away at any moment.  [default: 3]",
        ),
        click.option(
            "--trial-timeout",
            type=SECONDS,
            metavar="SECONDS",
            help="A trial that a worker plays for longer than this has failed.  [default: none]",
        ),
        click.option(
            "--timeout",
            type=SECONDS,
            metavar="SECONDS",
            help="Start no trial after this time; running ones end normally.",
        ),
        click.option(
            "--device", type=TEXT, metavar="NAME", help="auto, cpu, cuda, or some GPUs: cuda:0,cuda:1.  [default: auto]"
        ),
        click.option(
            "--workers",
            type=Optional(click.IntRange(min=0)),
            metavar="N",
            help="Trials at a time; 0 runs them in this process, for debugging.  [default: one a GPU, or one a core up to 4]",
        ),
    ):
        command = option(command)
    return command
