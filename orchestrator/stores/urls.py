"""Addresses of stores: what may stand in them, and what of them may be shown.

An address given as an option is seen in the list of processes, and MLflow's is stored with the sweep; so neither holds
a password. SWEEP_STORAGE may hold one, and what is printed of it hides it.
"""

import os
import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from orchestrator.errors import UserError

TRACKING = "sqlite:///mlflow.db"  # MLflow's own default


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
            f"{option}={shown(url)} holds credentials, which others would see; leave them out, {credentials(url)}"
        )
    return url


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
