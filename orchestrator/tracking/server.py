"""The servers behind ``sweep ui``: MLflow's pages, and Optuna's if they are wanted, until the user has seen enough."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from rich.console import Console

from orchestrator.errors import UserError
from orchestrator.stores import opening, sqlite, urls
from orchestrator.tracking import connection

START_SECONDS = 180.0  # ten on an idle machine
LINES = 20  # of what a server said, where it failed
# One worker: with more, every request stalls for some 40 ms on this server's sockets. No job runner: it takes two GB.
WORKERS = ("--workers", "1")
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
DASHBOARD = (
    "import sys, optuna_dashboard; optuna_dashboard.run_server(sys.argv[1], host=sys.argv[2], port=int(sys.argv[3]))"
)
PASSWORD = "MLFLOW_AUTH_ADMIN_PASSWORD"
ACCOUNTS = "basic_auth.db"


@dataclass(frozen=True)
class Wanted:
    """What ``sweep ui`` was asked for."""

    name: str | None  # the sweep to open
    folder: Path
    tracking_uri: str | None
    storage: str | None  # of Optuna, where its dashboard is wanted
    host: str
    port: int
    auth: bool
    browser: bool


@dataclass(frozen=True)
class Server:
    """A process, and the file that holds what it says."""

    process: "subprocess.Popen[bytes]"
    output: IO[bytes]

    def failed(self, how: str) -> UserError:
        """How it failed, and the end of what it said."""
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").rstrip().splitlines()[-LINES:]
        return UserError("\n".join([f"a server {how}; it said:", *lines]))


def serve(wanted: Wanted, console: Console) -> None:
    """Serve the pages until interrupted; UserError where there is nothing to show or a port is taken."""
    uri = _uri(wanted)
    port = _free(wanted.host, wanted.port)
    if wanted.name:
        connection.open_store(uri, "--tracking-uri").pages(
            wanted.name
        )  # an unknown one is refused before a server starts
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, *WORKERS]
    command += ["--host", wanted.host, "--port", str(port), "--default-artifact-root", str(wanted.folder / "mlruns")]
    more = _accounts(wanted) if wanted.auth else {}
    command += ["--app-name", "basic-auth"] if wanted.auth else []
    commands = [command]
    if wanted.storage is not None:
        commands.append(_dashboard(wanted.storage, wanted.host, second := _free(wanted.host, port + 1)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: no server may outlive us
    servers = [_start(command, wanted.folder, more) for command in commands]
    try:
        _await(servers[0], f"http://{_reached(wanted.host)}:{port}")
        store = connection.open_store(uri, "--tracking-uri")
        pages = store.pages(wanted.name)
        shown = {name: f"http://{_reached(wanted.host)}:{port}/{page}" for name, page in pages.items()}
        if wanted.storage is not None:
            shown["optuna"] = f"http://{_reached(wanted.host)}:{second}/"
        for name, page in shown.items():
            console.print(f"{name:8} {page}", highlight=False, soft_wrap=True)
        if note := _open_to_all(wanted):
            console.print(note, highlight=False, soft_wrap=True)
        console.print(_signing_in(f"http://{_reached(wanted.host)}:{port}") if wanted.auth else "Ctrl-C ends it")
        if wanted.browser and _can_open():
            webbrowser.open(next(iter(shown.values())))
        while all(server.process.poll() is None for server in servers):
            time.sleep(0.2)
        ended = next(server for server in servers if server.process.poll() is not None)
        if ended.process.returncode:
            raise ended.failed(f"ended with exit status {ended.process.returncode}")
    except KeyboardInterrupt:
        pass
    finally:
        for server in servers:
            with suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGTERM)
            server.process.wait()
            server.output.close()


def _uri(wanted: Wanted) -> str:
    """The store that is shown."""
    file = wanted.folder / urls.TRACKING.removeprefix(sqlite.PREFIX)
    address = wanted.tracking_uri or sqlite.address(file)
    uri = urls.public(urls.typed(address, "--tracking-uri", urls.TRACKING, server=True), "--tracking-uri")
    if urls.is_http(uri):
        raise UserError(f"--tracking-uri {uri} is a server already; open it in a browser")
    if wanted.tracking_uri is None and not file.exists():
        raise UserError(
            f"there is no {file.name} in {file.parent}; run a sweep there first, or say --folder or --tracking-uri"
        )
    if uri.startswith(("sqlite", "postgresql")):
        opening.check(uri, "--tracking-uri", opening.MLFLOW)
    return uri


def _accounts(wanted: Wanted) -> dict[str, str]:
    """What MLflow's own accounts need; UserError with the steps where something is missing."""
    if find_spec("flask_wtf") is None:
        raise UserError("--auth needs Flask-WTF: pip install 'generative-sweeps[server]'")
    accounts = wanted.folder / ACCOUNTS
    if not (accounts.exists() and accounts.stat().st_size) and not os.environ.get(PASSWORD):
        raise UserError(
            f"--auth makes an account 'admin' when it is first used, and needs its password, of 12 letters or more: "
            f"export {PASSWORD}=…, then say this again"
        )
    accounts.touch(0o600)  # it holds what passwords are checked with
    accounts.chmod(0o600)
    key = "MLFLOW_FLASK_SERVER_SECRET_KEY"
    return {key: os.environ.get(key) or secrets.token_hex(32)}  # it signs forms, for as long as this server lives


def _open_to_all(wanted: Wanted) -> str:
    """A word where other machines may come in without an account; '' where they may not."""
    if wanted.auth or wanted.host == "localhost" or wanted.host.startswith("127.") or wanted.host == "::1":
        return ""
    return (
        f"note: with --host {wanted.host} whoever reaches this machine sees, changes and deletes these runs without an "
        "account; --auth asks for one"
    )


def _signing_in(url: str) -> str:
    return (
        f"Sign in as admin. An account for somebody else:\n"
        f'  curl --user admin --json \'{{"username": "NAME", "password": "PASSWORD"}}\' {url}/api/2.0/mlflow/users/create\n'
        f"who then sweeps with  MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and --tracking-uri {url}\n"
        f"Ctrl-C ends it; docs/servers.md tells how to serve a network"
    )


def _dashboard(storage: str, host: str, port: int) -> list[str]:
    if find_spec("optuna_dashboard") is None:
        raise UserError("--dashboard needs optuna-dashboard: pip install 'generative-sweeps[dashboard]'")
    opening.check(storage, "--storage", opening.OPTUNA)
    return [sys.executable, "-c", DASHBOARD, storage, host, str(port)]


def _start(command: list[str], folder: Path, more: dict[str, str]) -> Server:
    """What it says goes to a file that is gone with us: it tells of every request, and the addresses would be out of sight."""
    environment = {**os.environ, **QUIET, **more}
    output = tempfile.TemporaryFile()
    server = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
    )
    return Server(server, output)


def _await(server: Server, url: str) -> None:
    """Until it answers."""
    end = time.monotonic() + START_SECONDS
    while server.process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
            return
        if time.monotonic() > end:
            raise server.failed(f"did not answer within {START_SECONDS:g} s")
        time.sleep(0.1)
    raise server.failed(f"ended with exit status {server.process.returncode}")


def _reached(host: str) -> str:
    """The name by which a browser here reaches it."""
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host


def _can_open() -> bool:
    """Whether there is a person at a terminal, and a browser with windows."""
    windows = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(windows) and sys.stdout.isatty()


def _free(host: str, port: int) -> int:
    """The port, or any free one for 0; UserError where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise UserError(f"port {port} is in use; say another --port, or 0 for any") from None
        return int(probe.getsockname()[1])
