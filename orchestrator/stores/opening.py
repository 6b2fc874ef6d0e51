"""Whether a store can be opened, asked before anything is made in it; and whose tables it holds.

Optuna and MLflow number their tables in one table of the same name, so neither may be given the other's database.
"""

import os
import sqlite3
from typing import NamedTuple

from sqlalchemy import NullPool, create_engine, inspect
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from orchestrator.errors import UserError
from orchestrator.stores import failures, sqlite, urls

CONNECT_SECONDS = "10"  # for PostgreSQL's answer; where nothing answers at all it would be waited for for minutes
VERSIONS = "alembic_version"  # the table that both number theirs in


class Owner(NamedTuple):
    """A program that keeps tables in a database."""

    name: str
    tables: frozenset[str]  # some that it always has
    option: str  # by which its database is given


OPTUNA = Owner("Optuna", frozenset({"studies", "version_info"}), "--storage")
MLFLOW = Owner("MLflow", frozenset({"experiments", "runs"}), "--tracking-uri")


def check(url: str, option: str, owner: Owner, write: bool = False) -> None:
    """UserError where ``url``, given as ``option``, is no address of a database that can be opened and is the ``owner``'s.

    To ``write`` to a SQLite file, whoever else writes to it is waited for. To read it nobody is.
    """
    address = urls.parsed(url)
    if address is None:
        raise UserError(f"{option}={urls.shown(url)} is no database address; give one such as sqlite:///sweeps.db")
    if "@" in (address.host or ""):
        raise UserError(f"{option}={urls.shown(url)} has an @ too many; write one that is in a password as %40")
    file = sqlite.file(url)
    if file is not None and not file.exists():
        if obstacle := sqlite.obstacle(file):
            raise UserError(f"{option}={urls.shown(url)} {obstacle}")
        return
    try:
        tables = _reach(url, option) if file is None else sqlite.tables(file, write)
        if not tables & owner.tables and (VERSIONS in tables or tables and file is not None):
            raise UserError(f"{option}={urls.shown(url)} {_others(tables, owner)}")
        if file is not None and write:
            sqlite.log_ahead(file)
    except (sqlite3.Error, SQLAlchemyError) as error:
        raise failures.failure(url, option, error) from None


def check_place(url: str, option: str) -> None:
    """UserError where the SQLite file at ``url``, given as ``option``, is not there and cannot be made. It is not made."""
    file = sqlite.file(url)
    if file is not None and not file.exists() and not os.access(file.parent, os.W_OK | os.X_OK):
        raise failures.failure(url, option, sqlite3.OperationalError("unable to open database file"))


def _reach(url: str, option: str) -> set[str]:
    os.environ.setdefault("PGCONNECT_TIMEOUT", CONNECT_SECONDS)
    try:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            return set(inspect(connection).get_table_names())
    except (ImportError, NoSuchModuleError) as error:
        ours = "pip install -e '.[server]' -c constraints.txt, and write postgresql+psycopg://…"
        raise UserError(
            f"{option}={urls.shown(url)} needs a driver that is not here ({error}); "
            f"{ours if url.startswith('postgresql') else 'install it'}"
        ) from None


def _others(tables: set[str], owner: Owner) -> str:
    for other in (OPTUNA, MLFLOW):
        if tables & other.tables:
            return f"is the database of {other.name}; give it as {other.option}, and here one for {owner.name} alone"
    names = ", ".join(sorted(tables)[:3])
    return f"is the database of another program (with the tables {names}); give one for {owner.name} alone"
