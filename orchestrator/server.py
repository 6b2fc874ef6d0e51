"""The MLflow server behind ``sweep ui``."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from orchestrator import address, tracker
from orchestrator.errors import UserError


def serve(folder: str, tracking_uri: str | None, host: str, port: int, console: Console) -> None:
    """Serve MLflow's pages until interrupted; UserError where there is nothing to show or the port is taken."""
    file = Path(folder).absolute() / tracker.DEFAULT_URI.removeprefix("sqlite:///")
    uri = address.public(tracking_uri or f"sqlite:///{file}", "--tracking-uri")
    if uri.startswith(("http:", "https:")):
        raise UserError(f"--tracking-uri {uri} is a server already; open it in a browser")
    if tracking_uri is None and not file.exists():
        raise UserError(
            f"there is no {file.name} in {file.parent}; run a sweep there first, or say --folder or --tracking-uri"
        )
    if uri.startswith(("sqlite", "postgresql")):
        address.check(uri, "--tracking-uri")
    port = _free(host, port)
    console.print(
        f"MLflow on http://{host}:{port}/#/experiments (Ctrl-C ends it); sweeps are under Model training",
        highlight=False,
    )
    # One worker: with more, every request stalls for some 40 ms on this server's sockets. No job runner: it takes two GB.
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        host,
        "--port",
        str(port),
    ]
    command += ["--workers", "1", "--default-artifact-root", str(Path(folder).absolute() / "mlruns")]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server must not outlive us
    server = subprocess.Popen(command, env={**os.environ, **quiet}, start_new_session=True)
    try:
        status = server.wait()
    except KeyboardInterrupt:
        status = 0
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    if status:
        raise UserError(f"mlflow server ended with exit status {status}; what it said is above")


def _free(host: str, port: int) -> int:
    """The port, or any free one for 0; UserError where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise UserError(f"port {port} is in use; say another --port, or 0 for any") from None
        return int(probe.getsockname()[1])
