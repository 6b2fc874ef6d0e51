"""New databases on the PostgreSQL server that SWEEP_TEST_POSTGRESQL names, as in `tests/postgresql.sh`."""

import os
import secrets

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

SERVER = "SWEEP_TEST_POSTGRESQL"


def new() -> dict[str, str]:
    """Two, for Optuna and MLflow, as environment variables."""
    server = make_url(os.environ[SERVER]).set(drivername="postgresql+psycopg")
    names = [f"first_{secrets.token_hex(6)}" for _ in range(2)]
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in names:
            connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    login = (server.drivername, server.username, None, server.host, server.port)
    storage, tracking = (URL.create(*login, name).render_as_string() for name in names)
    return {"SWEEP_STORAGE": storage, "MLFLOW_TRACKING_URI": tracking, "PGPASSWORD": str(server.password)}
