"""Addresses of stores: what may stand in them, what of them may be shown, and whether somebody answers there.

An address given as an option is seen in the list of processes, and MLflow's is stored with the sweep; so neither holds
a password. SWEEP_STORAGE may hold one, and what is printed of it hides it.
"""

import os
import re

from sqlalchemy import NullPool, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from orchestrator.errors import UserError
from orchestrator.stores import sqlite

TRACKING = "sqlite:///mlflow.db"  # MLflow's own default
CONNECT_SECONDS = "10"  # for PostgreSQL's answer; where nothing answers at all it would be waited for for minutes


def tracking() -> str:
    """MLFLOW_TRACKING_URI, else the file that a plain ``mlflow ui`` in this folder looks into."""
    return os.environ.get("MLFLOW_TRACKING_URI") or TRACKING


def shown(url: str) -> str:
    """``url`` with its password hidden, fit for the terminal.

    It is read as a text: an address that cannot be parsed is shown as well, where it is refused, and a password may hold
    characters that it should not.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    if scheme.startswith("sqlite"):
        return url
    if scheme in ("http", "https"):
        rest = re.sub(r"^[^/]*@", "***@", rest)  # a name alone may be a token
    rest = re.sub(r"(?s)^([^:@/]*):.*@", r"\1:***@", rest)
    return scheme + mark + re.sub(r"(?i)([?&][^=&]*(?:passw|pwd|secret|token)[^=&]*=)[^&]*", r"\1***", rest)


def public(url: str, option: str) -> str:
    """``url``; UserError where it holds a password, for it comes from where others look."""
    if shown(url) != url:
        raise UserError(
            f"{option}={shown(url)} holds credentials, which others would see; leave them out, {_credentials(url)}"
        )
    return url


def check(url: str, option: str) -> None:
    """UserError where ``url``, given as ``option``, is no database address or its database cannot be opened."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise UserError(f"{option}={shown(url)} is no database address; give one such as sqlite:///sweeps.db") from None
    if "@" in (parsed.host or ""):
        raise UserError(f"{option}={shown(url)} has an @ too many; write one that is in a password as %40")
    if parsed.get_backend_name() == "sqlite":
        sqlite.check(url, option)
    else:
        _reach(url, option)


def same(first: str, second: str) -> bool:
    """Whether two addresses name one database, whatever the driver and the user."""
    try:
        parsed = [make_url(url) for url in (first, second)]
    except (ArgumentError, ValueError):  # MLflow takes folders as well
        return False
    places = {(url.get_backend_name(), url.host, url.port, url.database) for url in parsed}
    return len(places) == 1 and parsed[0].database not in (None, "", ":memory:")


def unopened(url: str, option: str, error: BaseException) -> UserError:
    """The error for a store that cannot be opened, ``error`` being what came of trying."""
    return UserError(f"{option}={shown(url)} cannot be opened ({_reason(error)}); {_way_out(url)}")


def _reason(error: BaseException) -> str:
    """What lies at the bottom of an error where that is the system's, such as a refused connection; else its first line."""
    root = error
    while deeper := root.__cause__ or root.__context__:
        root = deeper
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    text = str(getattr(error, "orig", None) or error).strip()
    return text.partition("\n")[0].removeprefix("connection failed: ")[:200] or type(error).__name__


def _reach(url: str, option: str) -> None:
    os.environ.setdefault("PGCONNECT_TIMEOUT", CONNECT_SECONDS)
    try:
        with create_engine(url, poolclass=NullPool).connect():
            pass
    except (ImportError, NoSuchModuleError) as error:
        ours = "pip install -e '.[server]' -c constraints.txt, and write postgresql+psycopg://…"
        raise UserError(
            f"{option}={shown(url)} needs a driver that is not here ({error}); "
            f"{ours if url.startswith('postgresql') else 'install it'}"
        ) from None
    except SQLAlchemyError as error:
        raise unopened(url, option, error) from None


def _way_out(url: str) -> str:
    if url.startswith(("http:", "https:")):
        return f"see that the server is up, {_credentials(url)}"
    if url.startswith("postgresql"):
        return f"see that the server is up and has this database, {_credentials(url)}"
    return "give an address such as sqlite:///FILE"


def _credentials(url: str) -> str:
    if url.startswith(("http:", "https:")):
        return "and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or write ~/.mlflow/credentials"
    if url.startswith("postgresql"):
        return "and set PGPASSWORD or write ~/.pgpass"
    return "and give the password in the database's own way"
