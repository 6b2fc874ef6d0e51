"""Errors of a PostgreSQL server: each has its own sentence, and what the sentence says works."""

import gc
import warnings
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from orchestrator.errors import UserError
from orchestrator.stores import optuna_storage
from orchestrator.tracking import connection
from tests.support.servers import Postgresql


def refused(url: str, monkeypatch: pytest.MonkeyPatch, postgresql: Postgresql, password: str = "") -> str:
    """The sentence with which Optuna's storage there is refused; MLflow's is refused with the same."""
    with monkeypatch.context() as patched:
        for name, value in (postgresql.environment | ({"PGPASSWORD": password} if password else {})).items():
            patched.setenv(name, value)
        with pytest.raises(UserError) as first:
            optuna_storage.connect(url)
        with pytest.raises(UserError) as second:
            connection.connect(url, "--tracking-uri", "toy")
    sentences = [str(error.value).partition("=")[2] for error in (first, second)]
    sentence = str(first.value)
    del first, second
    with warnings.catch_warnings():  # a refused engine is Optuna's own, and nobody else can close its connection
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert sentences[0] == sentences[1]
    return sentence


def test_each_refusal_of_a_server_has_its_own_way_out(
    folder: Path, postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgresql.database()
    url = make_url(database)
    missing = url.set(database="not_there").render_as_string(hide_password=False)
    assert "has no database not_there; make it there: createdb -h " in refused(missing, monkeypatch, postgresql)
    postgresql.execute("CREATE ROLE weak LOGIN PASSWORD 'weak'")
    try:
        weak = url.set(username="weak").render_as_string(hide_password=False)
        sentence = refused(weak, monkeypatch, postgresql, "weak")
        assert sentence.endswith('let its owner say: GRANT USAGE, CREATE ON SCHEMA public TO "weak"')
        assert "refuses the user or the password" in refused(weak, monkeypatch, postgresql, "wrong")
        postgresql.execute(f"ALTER DATABASE {url.database} CONNECTION LIMIT 0")
        assert "has no connection left" in refused(weak, monkeypatch, postgresql, "weak")
        postgresql.execute(f"ALTER DATABASE {url.database} CONNECTION LIMIT -1")
    finally:
        postgresql.execute("DROP ROLE weak")
    postgresql.execute(f"ALTER DATABASE {url.database} SET default_transaction_read_only = on")
    assert "give the address of the main server" in refused(database, monkeypatch, postgresql)
