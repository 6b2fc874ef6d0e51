"""Servers for the tests that need one, on loopback: PostgreSQL, and `mlflow server` with basic authentication.

Both hand out addresses without a password, and apart from them the environment in which it is found.
"""

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import URL, make_url

from tests.support.processes import LIMIT

VARIABLE = "SWEEP_TEST_POSTGRESQL"
STOP_SECONDS = 20  # after which it is killed


class Postgresql:
    """The PostgreSQL server at ``address``, whose role may create databases."""

    def __init__(self, address: str) -> None:
        self.server: URL = make_url(address)
        self.password = str(self.server.password)
        self.environment = {"PGPASSWORD": self.password}
        self.made: list[str] = []

    def database(self) -> str:
        """The address of a new, empty database, without the password; see ``environment``."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        self.made.append(name)
        bare = URL.create("postgresql+psycopg", self.server.username, None, self.server.host, self.server.port, name)
        return bare.render_as_string()

    def dump(self, database: str) -> str:
        """Everything in a database, as SQL."""
        bare = make_url(database).set(drivername="postgresql").render_as_string()
        done = subprocess.run(
            ["pg_dump", bare], env={**os.environ, **self.environment}, check=True, capture_output=True, text=True
        )
        return done.stdout

    def disconnect(self, database: str) -> None:
        """Break all connections to a database, as a restart of the server would."""
        name = make_url(database).database
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def execute(self, statement: str) -> None:
        """Run a statement on the server itself."""
        address = self.server.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)

    def clear(self) -> None:
        """Remove the databases that were made."""
        while self.made:
            self.execute(f"DROP DATABASE {self.made.pop()} WITH (FORCE)")


class MlflowServer:
    """`mlflow server` with basic authentication and one ordinary user, at one address however often it is started.

    All that it keeps lies in ``folder`` and, where ``backend`` names one, in that database.
    """

    user, admin = "sweeper", "admin"

    def __init__(self, folder: Path, backend: str = "", environment: Mapping[str, str] | None = None) -> None:
        """``environment`` is what the server needs to open ``backend``."""
        self.folder, self.log = folder, folder / "log.txt"
        self.backend = backend or f"sqlite:///{folder / 'server.db'}"
        self.password, self.admin_password = secrets.token_hex(12), secrets.token_hex(12)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = {"MLFLOW_TRACKING_USERNAME": self.user, "MLFLOW_TRACKING_PASSWORD": self.password}
        settings = folder / "auth.ini"
        # Users beside the runs. Without the cache every request costs a third of a second, for hashing the password.
        settings.write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {self.backend}\nadmin_username = {self.admin}\n"
            "auth_cache_ttl_seconds = 60\n"
        )
        ours = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        self._environment = {
            **ours,
            **(environment or {}),
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.admin_password,
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(12),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self.ask("POST", "users/create", username=self.user, password=self.password)

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        # One worker: with more, every request stalls for some 40 ms on this server's sockets.
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--backend-store-uri", self.backend]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + LIMIT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"mlflow server did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Take it away, in order or by SIGKILL; its data stay."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self._process.pid, how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def clear(self) -> None:
        """Put away all experiments, so that their names are free, and all models."""
        for one in self.ask("POST", "experiments/search", max_results=1000).get("experiments", []):
            if one["experiment_id"] != "0":
                self.ask(
                    "POST", "experiments/update", experiment_id=one["experiment_id"], new_name=secrets.token_hex(8)
                )
                self.ask("POST", "experiments/delete", experiment_id=one["experiment_id"])
        for one in self.ask("GET", "registered-models/search").get("registered_models", []):
            self.ask("DELETE", "registered-models/delete", name=one["name"])

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(self, method: str, what: str, **content: Any) -> dict[str, Any]:
        """What the server answers its administrator."""
        who = base64.b64encode(f"{self.admin}:{self.admin_password}".encode()).decode()
        request = urllib.request.Request(
            f"{self.address}/api/2.0/mlflow/{what}",
            json.dumps(content).encode() if content else None,
            {"Authorization": f"Basic {who}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return dict(json.load(answer))


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def postgresql() -> Iterator[Postgresql]:
    """See Postgresql; the databases that a test made are gone after it."""
    server = _postgresql()
    yield server
    server.clear()


@pytest.fixture(scope="session")
def _mlflow_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], MlflowServer]]:
    """The session's servers, one a kind of backend; each takes seconds to start."""
    servers: dict[str, MlflowServer] = {}
    databases: list[Postgresql] = []

    def get(kind: str) -> MlflowServer:
        if kind not in servers:
            backend, environment = "", {}
            if kind == "postgresql":
                databases.append(_postgresql())
                backend, environment = databases[-1].database(), databases[-1].environment
            servers[kind] = MlflowServer(tmp_path_factory.mktemp(f"mlflow-{kind}"), backend, environment)
        return servers[kind]

    yield get
    for server in servers.values():
        server.stop()
    for database in databases:
        database.clear()


@pytest.fixture
def mlflow_server(_mlflow_servers: Callable[[str], MlflowServer]) -> Callable[..., MlflowServer]:
    """A server that runs and shows no experiment and no model: ``mlflow_server("sqlite")`` or ``("postgresql")``.

    A test may stop it and start it again; the next one finds it started.
    """

    def get(kind: str = "sqlite") -> MlflowServer:
        server = _mlflow_servers(kind)
        server.start()
        server.clear()
        return server

    return get


def _postgresql() -> Postgresql:
    address = os.environ.get(VARIABLE)
    if not address:
        pytest.skip(f"{VARIABLE} names no server; `tests/postgresql.sh pytest` starts one")
    return Postgresql(address)
