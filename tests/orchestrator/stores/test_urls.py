"""Passwords in addresses: refused where others would see them, hidden where they may stand."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main
from orchestrator.stores import urls
from tests.support.paths import QUADRATIC
from tests.support.servers import free_port

DATABASE, SERVER = "postgresql+psycopg://me:hush@127.0.0.1/sweeps", "http://me:hush@127.0.0.1:5000"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///sweeps.db", "sqlite:///sweeps.db"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
        ("http://host:5000/path", "http://host:5000/path"),
        ("postgresql://me@host:5432/name?sslmode=require", "postgresql://me@host:5432/name?sslmode=require"),
        (DATABASE, "postgresql+psycopg://me:***@127.0.0.1/sweeps"),
        ("postgresql://me:hu@sh/hu:sh@host/name", "postgresql://me:***@host/name"),
        ("postgresql://host/name?user=me&password=hush&x=1", "postgresql://host/name?user=me&password=***&x=1"),
        ("postgresql:me:hush@host/name", "postgresql:***@host/name"),
        ("me:hush@host", "me:***@host"),
        (SERVER, "http://***@127.0.0.1:5000"),
        ("https://hush@host", "https://***@host"),
        ("chisel", "chisel"),
    ],
)
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    assert urls.shown(url) == shown


def refused(*arguments: str) -> str:
    """The sentence that such a command ends with; it started nothing and told no password."""
    done: Result = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2, done.output
    assert not done.stdout and done.stderr.count("\n") == 1
    assert "hush" not in done.output
    return done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", QUADRATIC, "--storage", DATABASE],
        ["run", QUADRATIC, "--storage", "postgresql://127.0.0.1/sweeps?user=me&password=hush"],
        ["run", QUADRATIC, "--dry-run", "--storage", DATABASE],
        ["list", "--storage", DATABASE],
        ["show", "toy", "--storage", DATABASE],
        ["resume", "toy", "--storage", DATABASE],
        ["run", QUADRATIC, "--tracking-uri", DATABASE],
        ["ui", "--tracking-uri", DATABASE],
    ],
    ids=" ".join,
)
def test_a_database_password_on_the_command_line_is_refused(folder: Path, arguments: list[str]) -> None:
    assert "holds credentials, which others would see; leave them out, and set PGPASSWORD or" in refused(*arguments)


@pytest.mark.parametrize("command", [["run", QUADRATIC], ["ui"]], ids=" ".join)
def test_a_server_password_on_the_command_line_is_refused(folder: Path, command: list[str]) -> None:
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in refused(*command, "--tracking-uri", SERVER)


@pytest.mark.parametrize("uri", [DATABASE, SERVER])
def test_a_password_in_mlflows_variable_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """It would be stored with the sweep."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert "MLFLOW_TRACKING_URI=" in refused("run", QUADRATIC)


def test_a_password_in_our_variable_is_used_and_not_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("SWEEP_STORAGE", f"postgresql+psycopg://me:hush@127.0.0.1:{port}/sweeps")
    monkeypatch.setenv("PGPASSWORD", "hush")
    shown = f"SWEEP_STORAGE=postgresql+psycopg://me:***@127.0.0.1:{port}/sweeps cannot be opened"
    for command in (["run", QUADRATIC], ["list"], ["show", "toy"]):
        assert shown in refused(*command)


def test_an_at_sign_in_a_password_is_told_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All behind it would be taken for the host, and told."""
    monkeypatch.setenv("SWEEP_STORAGE", "postgresql://me:top@hush@host/name")
    assert "SWEEP_STORAGE=postgresql://me:***@host/name has an @ too many; write" in refused("list")


@pytest.mark.parametrize("option", ["--storage", "--tracking-uri"])
def test_a_server_that_is_not_there_is_told_in_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("PGPASSWORD", "hush")
    uri = f"postgresql+psycopg://me@127.0.0.1:{free_port()}/sweeps"
    said = refused("run", QUADRATIC, option, uri)
    assert f"Error: {option}={uri} cannot be opened (" in said and "Connection refused" in said
    assert said.endswith("see that the server is up and has this database, and set PGPASSWORD or write ~/.pgpass\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--storage", "postgresql://me:hush@host:five/name"], "--storage=postgresql://me:***@host:five/name holds"),
        (["--storage", "postgresql://me@host:five/name"], "is no database address"),
        (["--storage", "postgresql+chisel://me@host/name"], "needs a driver that is not here"),
        (["--tracking-uri", "sqlite:///sweeps.db"], "is the database of --storage as well; MLflow and Optuna need one"),
    ],
)
def test_what_is_no_address_is_told(folder: Path, arguments: list[str], sentence: str) -> None:
    assert sentence in refused("run", QUADRATIC, *arguments)
