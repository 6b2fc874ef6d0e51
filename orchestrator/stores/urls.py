"""Addresses of stores: what may stand in them, and what of them may be shown.

An address given as an option is seen in the list of processes, and MLflow's is stored with the sweep; so neither holds
a password. SWEEP_STORAGE may hold one, and what is printed of it hides it.
"""

import os
import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from orchestrator.errors import UserError

TRACKING = "sqlite:///mlflow.db"  # MLflow's own default
DATABRICKS = "databricks"  # begins addresses of MLflow that name a profile


def tracking() -> str:
    """MLFLOW_TRACKING_URI, else the file that a plain ``mlflow ui`` in this folder looks into. See typed for UserError."""
    return typed(
        os.environ.get("MLFLOW_TRACKING_URI", "").strip() or TRACKING, "MLFLOW_TRACKING_URI", TRACKING, server=True
    )


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
            f"{option}={shown(url)} holds credentials, which others would see; leave them out, {credentials(url)}"
        )
    return url


def typed(text: str, option: str, example: str, server: bool = False) -> str:
    """The address that a user wrote: without spaces around it, its scheme in small letters, ~ as the home of the user.

    UserError, with an ``example`` of what is wanted, for a path, for a database in memory, for a path of Windows elsewhere,
    and for a ``server`` where none may be.
    """
    url = text.strip()
    scheme, mark, rest = url.partition("://")
    scheme = scheme.lower()
    what = f"{option}={shown(url)}"
    wrong = ("file", "postgres") if server else ("file", "postgres", "http", "https")
    if scheme in wrong or not mark and not (server and url.startswith(DATABRICKS)):
        wanted = "address of a database or a server" if server else "database address"
        raise UserError(f"{what} is no {wanted}; give one such as {_near(url, example, server)}")
    if not mark or not scheme.startswith("sqlite"):
        return f"{scheme}{mark}{rest}" if mark else url
    path = rest.removeprefix("/")
    if not rest.startswith("/"):
        raise UserError(
            f"{what} has too few slashes; write sqlite:///{path or 'FILE'}" if path else _in_memory(what, example)
        )
    if path in ("", ":memory:"):
        raise UserError(_in_memory(what, example))
    if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]", path):
        raise UserError(f"{what} is a path of Windows, which this machine does not have; write one such as {example}")
    return f"{scheme}:///{Path(path).expanduser() if path.startswith('~') else path}"


def _near(url: str, example: str, server: bool) -> str:
    """The address that was probably meant."""
    if server and re.match(r"https?:|[\w.-]+:\d+(/|$)", url, re.IGNORECASE):
        return "http://HOST:PORT"
    if url.lower().startswith("postgres"):
        return "postgresql+psycopg://USER@HOST/NAME"
    file = re.sub(r"^(file:(//)?|sqlite:/*)", "", url)
    return f"sqlite:///{file}" if file.endswith((".db", ".sqlite", ".sqlite3")) and "\\" not in file else example


def _in_memory(what: str, example: str) -> str:
    return f"{what} is a database in memory, which is gone with the process; give a file, such as {example}"


def parsed(url: str) -> URL | None:
    """The parts of a database's address; None where it is none, as MLflow takes folders and servers as well."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


def same(first: str, second: str) -> bool:
    """Whether two addresses name one database, whatever the driver and the user."""
    addresses = [address for address in map(parsed, (first, second)) if address is not None]
    places = {(url.get_backend_name(), url.host, url.port, url.database) for url in addresses}
    return len(addresses) == 2 and len(places) == 1 and addresses[0].database not in (None, "", ":memory:")


def is_http(url: str) -> bool:
    """Whether an address is a server's that speaks HTTP."""
    return url.startswith(("http:", "https:"))


def credentials(url: str) -> str:
    """How a name and a password are given for this address, as a part of a sentence."""
    if is_http(url):
        return "and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or write ~/.mlflow/credentials"
    if url.startswith("postgresql"):
        return "and set PGPASSWORD or write ~/.pgpass"
    return "and give the password in the database's own way"
