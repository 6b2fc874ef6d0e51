"""Passwords in addresses: refused where others would see them, hidden where they may stand."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main
from orchestrator.errors import UserError
from orchestrator.stores import optuna_storage, urls
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


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" sqlite:///a.db ", "sqlite:///a.db"),
        ("SQLite:///a.db", "sqlite:///a.db"),
        ("sqlite:///my sweeps.db", "sqlite:///my sweeps.db"),
        ("sqlite:///~/a.db", f"sqlite:///{Path.home()}/a.db"),
        ("HTTP://host:5000", "http://host:5000"),
        ("databricks", "databricks"),
    ],
)
def test_an_address_is_what_was_probably_meant(text: str, address: str) -> None:
    assert urls.typed(text, "--tracking-uri", urls.TRACKING, server=True) == address


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mlruns", "such as sqlite:///mlflow.db"),
        ("file:///tmp/mlruns", "such as sqlite:///mlflow.db"),
        ("file:///tmp/a.db", "such as sqlite:////tmp/a.db"),
        ("a.db", "such as sqlite:///a.db"),
        ("~/a.db", "such as sqlite:///~/a.db"),
        ("sqlite:a.db", "such as sqlite:///a.db"),
        ("sqlite://a.db", "has too few slashes; write sqlite:///a.db"),
        ("sqlite://", "is a database in memory, which is gone with the process; give a file, such as sqlite:///"),
        ("sqlite:///:memory:", "is a database in memory"),
        (r"C:\sweeps\a.db", "such as sqlite:///mlflow.db"),
        (r"sqlite:///C:\sweeps\a.db", "is a path of Windows"),
        ("localhost:5000", "such as http://HOST:PORT"),
        ("postgres://host/name", r"such as postgresql\+psycopg://USER@HOST/NAME"),
    ],
)
def test_what_is_no_address_is_refused_with_the_one_that_was_probably_meant(text: str, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted) as error:
        urls.typed(text, "--tracking-uri", urls.TRACKING, server=True)
    assert "\n" not in str(error.value)


def test_variables_that_are_empty_are_not_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("", "  "):
        monkeypatch.setenv("SWEEP_STORAGE", text)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", text)
        assert urls.tracking() == urls.TRACKING
        assert optuna_storage.address(None)[0] == optuna_storage.DEFAULT_STORAGE


@pytest.mark.parametrize("variable", ["SWEEP_STORAGE", "MLFLOW_TRACKING_URI"])
def test_a_variable_that_is_no_address_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "file:///tmp/mlruns")
    assert f"{variable}=file:///tmp/mlruns is no " in refused("run", QUADRATIC)
    Path("place").mkdir()
    monkeypatch.setenv(variable, "sqlite:///place")
    assert f"{variable}=sqlite:///" in (sentence := refused("run", QUADRATIC)) and "is a folder" in sentence


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
