"""Why a store fails, and the way out that mends this cause: the one place that turns errors of stores into sentences.

An error of SQLAlchemy says no address, so ``trace`` has each engine leave its own with the errors that it raises.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from orchestrator.errors import UserError
from orchestrator.stores import sqlite, urls
from orchestrator.stores.causes import HTTP, POSTGRESQL, SCHEMA, SQLITE, Cause

STORES = ("sqlalchemy", "sqlite3", "optuna", "mlflow", "psycopg", "alembic")  # packages whose errors are a store's
DRIVERS = ("sqlite3", "psycopg")  # those of them that speak with a database
ANEW_MLFLOW = (
    "say `sweep doctor --repair`, which makes the runs again with settings, objectives and last samples; "
    "other curves and what you wrote into MLflow are lost"
)
ANEW_OPTUNA = (
    "begin a new sweep with another name; Optuna's trials are lost, MLflow keeps their runs, "
    "and .sweeps keeps their weights and outboxes"
)
_ADDRESS = "store_address"  # the attribute of an error that holds the address


def failure(url: str, option: str, error: BaseException) -> UserError:
    """What ``error``, which came of using the store at ``url``, means, with the way out; ``option`` is how it was given."""
    if isinstance(error, UserError):
        return error
    return UserError(f"{option}={urls.shown(url)} {_meaning(url, error, option)}")


def of_store(error: BaseException) -> UserError | None:
    """The same of an error that came from somewhere inside; None where it is not a store's."""
    url = next((str(getattr(link, _ADDRESS)) for link in _chain(error) if hasattr(link, _ADDRESS)), "")
    if url:
        return UserError(f"{urls.shown(url)} {_meaning(url, error)}")
    if type(error).__module__.partition(".")[0] in STORES:
        return UserError(f"a store fails ({_reason(error)}); `sweep doctor` tells what does not fit")
    return None


@contextmanager
def as_sentences() -> Iterator[None]:
    """Turn the errors of stores inside the block, or the function that this decorates, into UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (sentence := of_store(error)) is None:
            raise
        raise sentence from error


def mark(error: BaseException, url: str) -> None:
    """Have an error tell of which store it is."""
    setattr(error, _ADDRESS, urls.shown(url))


def trace(engine: Engine) -> None:
    """Have the errors of ``engine`` tell of which store they are."""
    if not event.contains(engine, "handle_error", _leave_address):
        event.listen(engine, "handle_error", _leave_address)


def _leave_address(context: ExceptionContext) -> None:
    if context.engine is not None:
        url = context.engine.url.render_as_string(hide_password=True)  # with every letter escaped that is not ASCII
        file = sqlite.file(url)
        setattr(context.original_exception, _ADDRESS, sqlite.address(file) if file else url)


def _meaning(url: str, error: BaseException, option: str = "") -> str:
    file = sqlite.file(url)
    said = "\n".join(_texts(error))
    if file is not None and (obstacle := _gone(file, said, option) or sqlite.obstacle(file)):
        return obstacle
    if file is not None and "disk I/O error" in said and sqlite.is_full(file):
        said = "database or disk is full"  # SQLite says either
    if (schema := re.search(r"schema \(found version (\w+)", said)) and not _is_known(schema[1]):
        said = f"Can't locate revision identified by '{schema[1]}'"  # MLflow says of any other schema that it is old
    for cause in (*SCHEMA, *_causes(url)):
        if match := re.search(cause.says, said, re.IGNORECASE | re.DOTALL):
            values = _Values(url, option, error, match.groupdict())
            return f"{cause.means}; {cause.do}".format_map(values)
    if path := next((link.filename for link in _chain(error) if isinstance(link, OSError) and link.filename), ""):
        return f"keeps files in {path}, which cannot be used ({_reason(error)}); make room there, or make it yours to write"
    if file is not None and "unable to open" not in said:
        return f"fails ({_reason(error)}); `sweep doctor` tells what does not fit"
    return f"cannot be opened ({_reason(error)}); {_way_out(url)}"


def _causes(url: str) -> tuple[Cause, ...]:
    """What can be wrong with a store of this kind."""
    if sqlite.file(url) is not None:
        return SQLITE
    if url.startswith("postgresql"):
        return POSTGRESQL
    return HTTP if urls.is_http(url) else ()


def _gone(file: Path, said: str, option: str) -> str:
    """The sentence where the file is not there any more, though it was open; '' else. One that an option names may be new."""
    if file.exists() and "SQLITE_IOERR_FSTAT" not in said or option and "disk I/O error" not in said:
        return ""
    return "was moved or removed while it was open; put it back there, or go on in the folder where it is now"


class _Values(dict[str, str]):
    """What the names in a sentence stand for. They are looked up when they are wanted: to know who locks a file takes long."""

    def __init__(self, url: str, option: str, error: BaseException, matched: dict[str, str]) -> None:
        super().__init__(matched)
        self.url, self.option, self.error, self.file = url, option, error, sqlite.file(url)

    def __missing__(self, name: str) -> str:
        parsed = None if urls.is_http(self.url) else urls.parsed(self.url)
        match name:
            case "reason":
                return _reason(self.error)
            case "address":
                return urls.shown(self.url)
            case "file":
                return str(self.file)
            case "folder":
                return str((self.file or Path()).absolute().parent)
            case "holder":
                return _holder(self.file)
            case "anew":
                return ANEW_MLFLOW if _is_mlflows(self.file, self.option) else ANEW_OPTUNA
            case "user":
                return (parsed.username if parsed else None) or os.environ.get("PGUSER") or "the user"
            case "login" if parsed is not None:
                given = {"-h": parsed.host, "-p": parsed.port, "-U": parsed.username}
                return " ".join(f"{flag} {value}" for flag, value in given.items() if value)
            case "login":
                return urls.credentials(self.url).removeprefix("and ")
            case "or_login":
                return urls.credentials(self.url).replace("and set", "or set", 1)
        raise KeyError(name)


def _is_known(schema: str) -> bool:
    """Whether the MLflow that is installed knows this schema of its database."""
    package = find_spec("mlflow")
    folders = (
        [Path(folder, "store", "db_migrations", "versions") for folder in package.submodule_search_locations or ()]
        if package
        else []
    )
    return any(any(folder.glob(f"{schema}_*.py")) for folder in folders)


def _is_mlflows(file: Path | None, option: str) -> bool:
    """By how it was given; of an error from inside only the file's name tells."""
    default = file is not None and file.name == urls.TRACKING.removeprefix(sqlite.PREFIX)
    return "tracking" in option.lower() or not option and default


def _holder(file: Path | None) -> str:
    """The other processes that have the file open, as far as they may be seen."""
    holders = []
    for process in psutil.process_iter(["pid", "name"]):
        try:
            if process.pid != os.getpid() and any(Path(opened.path) == file for opened in process.open_files()):
                holders.append(f"process {process.pid} ({process.info['name']})")
        except (psutil.Error, OSError):
            continue
    return " and ".join(holders[:3]) or "another process"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, the driver's own where it holds one, and what caused it."""
    while error is not None:
        yield error
        driver = getattr(error, "orig", None)
        if isinstance(driver, BaseException):
            yield driver
        error = error.__cause__ or error.__context__


def _texts(error: BaseException) -> Iterator[str]:
    for link in _chain(error):
        yield str(link)
        if isinstance(link, OSError) and link.strerror:
            yield link.strerror
        yield str(getattr(link, "sqlite_errorname", ""))  # since Python 3.11


def _reason(error: BaseException) -> str:
    """What lies at the bottom of an error where that is the system's, such as a refused connection; else its first line."""
    links = list(_chain(error))
    root = links[-1]
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    driver = next((link for link in links if type(link).__module__.partition(".")[0] in DRIVERS), None)
    text = str(driver or error).strip()
    return text.partition("\n")[0].removeprefix("connection failed: ")[:200] or type(error).__name__


def _way_out(url: str) -> str:
    if urls.is_http(url):
        return f"see that the server is up, {urls.credentials(url)}"
    if url.startswith("postgresql"):
        return f"see that the server is up and has this database, {urls.credentials(url)}"
    return "give an address such as sqlite:///FILE"
