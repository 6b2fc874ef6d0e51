"""A study file of the user's own, executed; what is wrong with it is one sentence with the file and the line."""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from studies.parts import moved
from studies.parts.study import Study, StudyError

MISTAKES = (AttributeError, TypeError, NameError, LookupError, ArithmeticError, RecursionError, ImportError)


def execute(name: str) -> ModuleType:
    """The module that the file ``name`` makes. Raises StudyError where the file cannot be read or does not run."""
    path = Path(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise StudyError(f"'{name}' is no Python file; name a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        with _no_bytecode():
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a file may fail in as many ways as there are programs
        raise StudyError(_sentence(name, error)) from None
    return module


def guarded(name: str, study: Study[Any, Any]) -> Study[Any, Any]:
    """The study of the file ``name``, whose recipe and space raise StudyError where they are not written well."""

    def guard(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any) -> Any:
            try:
                made = function(*arguments)
            except MISTAKES as error:
                raise StudyError(_sentence(name, error)) from None
            if not isinstance(made, study.config):
                what = getattr(function, "__name__", "a function")
                raise StudyError(
                    f"{name}: {what} returns {type(made).__name__} and not {study.config.__name__}; return that"
                )
            return made

        return call

    return replace(study, base=guard(study.base), space=guard(study.space))


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Leave no ``__pycache__`` beside the user's file: a command that is refused afterwards has changed nothing."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _sentence(name: str, error: BaseException) -> str:
    """What is wrong, and where."""
    if isinstance(error, ImportError | AttributeError) and (text := moved.sentence(name, error)):
        return text
    if isinstance(error, SyntaxError):
        return _syntax(name, error)
    if isinstance(error, OSError) and _is(error.filename, name):
        return f"{name} cannot be read ({error.strerror}); see that it is yours"
    where = f"{name}, line {_line(name, error)}"
    if isinstance(error, SystemExit):
        return f"{where}: it ends the program where it should only define a STUDY; remove that line"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, StudyError):
        return f"{where}: {reason}"
    remedy = "install what it names, or change that line" if isinstance(error, ImportError) else "change that line"
    return f"{where}: {type(error).__name__}: {reason}; {remedy}"


def _syntax(name: str, error: SyntaxError) -> str:
    """The file that Python could not read, or another one that it imports."""
    file = name if error.filename is None or _is(error.filename, name) else error.filename
    if not error.lineno or "unicode error" in str(error.msg) or "null bytes" in str(error.msg):
        return f"{file} is no Python text ({error.msg}); write it as UTF-8"
    return f"{file}, line {error.lineno}: SyntaxError: {error.msg}; change that line"


def _line(name: str, error: BaseException) -> int:
    """The line of the file at which it failed, wherever the error came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _is(frame.filename, name)]
    return lines[-1] if lines and lines[-1] else 1


def _is(path: object, name: str) -> bool:
    """Whether ``path`` is the file ``name``, which Python calls by its whole path."""
    return isinstance(path, str) and Path(path).absolute() == Path(name).absolute()
