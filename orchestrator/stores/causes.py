"""Why a store fails and what mends it, by what its error says: tables of causes, one a kind of store."""

from typing import NamedTuple


class Cause(NamedTuple):
    """What a store's error says, a regular expression; what that means; and what to do. {names} are filled in."""

    says: str
    means: str
    do: str


SCHEMA = (
    Cause(
        r"set up by optuna (?P<version>\S+?)\).*optuna storage upgrade",
        "was made by an older Optuna",
        "keep a copy of it, then type: optuna storage upgrade --storage {address}",
    ),
    Cause(
        r"set up by optuna (?P<version>\S+?)\).*updating optuna",
        "was made by a newer Optuna",
        "install that version: pip install 'optuna>={version}'",
    ),
    Cause(
        r"Can't locate revision identified by '(?P<version>\w+)'",
        "was made by a newer MLflow (schema {version})",
        "install that version of MLflow, or give another address",
    ),
    Cause(
        r"out-of-date database schema",
        "was made by an older MLflow",
        "keep a copy of it, then type: mlflow db upgrade {address}",
    ),
)
SQLITE = (
    Cause(
        r"file is not a database|malformed|file is encrypted",
        "is damaged ({reason})",
        "put a back-up in its place, or move the file away, with its -wal and -shm, and {anew}",
    ),
    Cause(
        r"database (table )?is locked|database is busy",
        "is locked by {holder}",
        "wait until that process has written, or end it",
    ),
    Cause(r"database or disk is full", "cannot grow: its disk is full", "make room there"),
    Cause(
        r"readonly database|read-only",
        "may only be read",
        "make the file and its folder writable: chmod u+w {file} {folder}",
    ),
    Cause(
        r"SQLITE_IOERR_SHORT_READ",
        "was replaced, or its -wal was removed, while it was open",
        "put the file back with the -wal that it had, or a back-up, and go on",
    ),
    Cause(
        r"no such table",
        "lacks tables that it had",
        "it was removed or emptied while it was open: put it, or a back-up, back in its place",
    ),
    Cause(
        r"disk I/O error",
        "cannot be read or written: its disk fails",
        "copy the folder to another disk and go on there",
    ),
)
POSTGRESQL = (
    Cause(
        r'database "(?P<name>[^"]+)" does not exist',
        "has no database {name}",
        "make it there: createdb {login} {name}, or give the address of another",
    ),
    Cause(
        r'role "(?P<name>[^"]+)" does not exist',
        "knows no user {name}",
        "give another one: postgresql+psycopg://USER@HOST/NAME",
    ),
    Cause(
        r"password authentication failed|no password supplied",
        "refuses the user or the password ({reason})",
        "set PGPASSWORD or write ~/.pgpass",
    ),
    Cause(r"pg_hba\.conf", "does not let this machine in", "ask its administrator for a line in pg_hba.conf"),
    Cause(
        r"permission denied for (schema|database) (?P<name>\S+)",
        "does not let {user} make tables in the schema {name}",
        'let its owner say: GRANT USAGE, CREATE ON SCHEMA {name} TO "{user}"',
    ),
    Cause(
        r"permission denied for|must be owner of",
        "does not let {user} use the tables that are there ({reason})",
        'let their owner say: GRANT ALL ON ALL TABLES IN SCHEMA public TO "{user}"',
    ),
    Cause(
        r"No space left on device|could not extend file",
        "cannot grow: the server's disk is full",
        "make room there",
    ),
    Cause(
        r"read-only transaction",
        "takes no changes: it is a copy that follows another server, or was set read-only",
        "give the address of the main server",
    ),
    Cause(
        r"too many clients|remaining connection slots|too many connections",
        "has no connection left",
        "end other programs that use it, or raise max_connections there",
    ),
    Cause(r"starting up|shutting down|recovery mode", "is starting or ending", "wait a minute"),
)
HTTP = (
    Cause("gives an empty answer", "answers with nothing, which MLflow never does", "look at the proxy in front of it"),
    Cause(r"error code 401|HTTP(Error)?:? 401|Unauthorized", "wants to know who you are", "{login}"),
    Cause(
        r"error code 403|PERMISSION_DENIED|Permission denied",
        "does not let you do this",
        "ask its administrator for the permission EDIT, {or_login}",
    ),
    Cause(
        r"--no-serve-artifacts|mlflow-artifacts.*(disabled|503)",
        "keeps no files for others",
        "start it with --serve-artifacts and --artifacts-destination FOLDER",
    ),
    Cause(
        r"not in a valid JSON format|<!doctype|<html|error code 404",
        "is no MLflow server: something else answers there",
        "give the address that shows MLflow's pages in a browser, without what follows #",
    ),
    Cause(
        r"(error code|too many) (?P<code>400|5\d\d)",
        "answers with an error of its own (HTTP {code})",
        "look into the server's log",
    ),
)
