"""The command line's types, and its options, which are made from the tables that declare them."""

import errno
import math
import os
import re
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from models.hints import did_you_mean
from orchestrator import options
from orchestrator.errors import AGAIN, INTERRUPTED, UserError
from orchestrator.search.options import TRIALS_AT_MOST, SweepOptions
from orchestrator.text import visible


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
            raise Refused(visible(str(error))) from None
        except KeyboardInterrupt as error:
            click.echo(visible(str(error) or AGAIN), err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except click.NoSuchOption as error:
            raise _no_such_option(error) from None
        except click.BadParameter as error:
            if (refusal := _of_variable(error)) is None:
                raise
            raise Refused(visible(refusal)) from None
        except click.UsageError as error:
            stray = re.search(r"unexpected extra arguments? \((\S+=.*)\)", error.message)
            if stray is None:
                raise click.UsageError(visible(error.message), error.ctx) from None
            raise Refused(f"'{stray[1]}' follows no option; separate pairs with commas: --set a=1,b=2") from None
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except UnicodeEncodeError as error:  # bytes of a command line that are no UTF-8
            if error.reason != "surrogates not allowed":
                raise
            raise Refused("what was typed has bytes that are no UTF-8; type it anew in this terminal") from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
                raise Refused(
                    f"{visible(str(error.filename)[:60])}…: the name is too long for a file; give another"
                ) from None
            from orchestrator.stores import failures

            if (sentence := failures.of_store(error)) is None:
                raise
            raise Refused(visible(str(sentence))) from None


def _no_such_option(error: click.NoSuchOption) -> click.UsageError:
    """The same with a hint that names an option as the help shows it, where what was typed is near an old name of it."""
    parameters = error.ctx.command.params if error.ctx else []
    shown = {
        name: parameter.opts[0]
        for parameter in parameters
        for name in [*parameter.opts, *getattr(parameter, "aliases", ())]
    }
    hint = did_you_mean(error.option_name, shown, shown)
    return click.UsageError(f"{error.message} {hint[:1].upper()}{hint[1:]}".strip(), error.ctx)


def _of_variable(error: click.BadParameter) -> str | None:
    """The same as a sentence about the environment variable that a value came from; None where an option was typed."""
    context, option = error.ctx, error.param
    if not (context and option and option.name and isinstance(option.envvar, str)):
        return None
    if context.get_parameter_source(option.name) is not ParameterSource.ENVIRONMENT:
        return None
    variable = f"{option.envvar}={os.environ.get(option.envvar)}"
    if isinstance(option.type, click.types.BoolParamType):
        return f"{variable} is neither yes nor no; set {option.envvar} to 1 or 0, or unset it"
    return f"{variable}: {error.message.rstrip('.')}; correct it, or unset it"


class Whole(click.IntRange):
    """A whole number in a range."""

    name = "whole number"


class Number(click.FloatRange):
    """A number in a range; not `nan`, which is in every range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


class Optional(click.ParamType[Any]):
    """A value of another type, or nothing where it is empty: `mlflow run` passes every parameter, given or not."""

    def __init__(self, inner: click.ParamType[Any]) -> None:
        self.inner, self.name = inner, inner.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        return None if value in ("", None) else self.inner.convert(value, param, ctx)


class Pairs(click.ParamType[list[str]]):
    """``SETTING=VALUE``, or several of them, separated by spaces or commas unless ``several`` says otherwise."""

    name = "setting=value"

    def __init__(self, several: str = r"[\s,]+") -> None:
        self.several = several

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """See click."""
        if isinstance(value, list):
            return value
        pairs = list[str]()
        parts = re.split(f"({self.several})", value)
        for part, separator in zip(parts[::2], ["", *parts[1::2]], strict=True):
            if pairs and part and "=" not in part and "/" in pairs[-1]:  # a path with a space or a comma
                pairs[-1] += separator + part
            elif part:
                pairs.append(part)
        return pairs


class AliasedOption(click.Option):
    """An option that is understood by old names as well, which neither the help nor Tab shows."""

    def __init__(self, *arguments: Any, aliases: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.aliases = aliases

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """See click."""
        shown, self.opts = self.opts, [*self.opts, *self.aliases]
        super().add_to_parser(parser, ctx)
        self.opts = shown


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
TEXT, WHOLE = Optional(click.STRING), Optional(Whole(min=1, max=TRIALS_AT_MOST))
SECONDS = Optional(Number(min=0, min_open=True, max=options.SECONDS_AT_MOST))


def all_options(*tables: type) -> Decorator:
    """The options of some tables. A command gets their values by name; None, or [], where one was not given."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for declared in reversed(options.read(*tables).values()):
            command = _option(declared)(command)
        return command

    return decorate


def option(table: type, name: str) -> Decorator:
    """One option of a table."""
    return _option(options.read(table)[name])


def _option(declared: options.Option) -> Decorator:
    more: dict[str, Any] = {}
    if declared.type is bool:
        more = {"is_flag": True}
    elif declared.type == options.Pairs:
        more = {"type": Pairs(declared.several), "multiple": True, "callback": _together}
    else:
        more = {"type": Optional(_type(declared))}
    return click.option(
        declared.flag,
        declared.name,
        cls=AliasedOption,
        aliases=declared.aliases,
        metavar=declared.metavar,
        help=declared.full_help,
        **more,
    )


def _type(declared: options.Option) -> click.ParamType[Any]:
    """The values that an option takes."""
    lowest = declared.minimum if declared.above is None else declared.above
    if declared.type is int:
        highest = None if declared.maximum is None else int(declared.maximum)
        return Whole(min=None if lowest is None else int(lowest), max=highest)
    if declared.type is float:
        return Number(min=lowest, min_open=declared.above is not None, max=declared.maximum)
    return click.STRING


def _together(ctx: click.Context, param: click.Parameter, value: tuple[list[str], ...]) -> list[str]:
    """The pairs of an option that was given several times."""
    return [pair for pairs in value for pair in pairs]


def storage_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--storage."""
    return option(SweepOptions, "storage")(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)
