"""What the pages of MLflow show: they are asked over HTTP, as a browser does."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks._figure import environment
from benchmarks.faults.forked import LIMIT

PICTURES = {".png": b"\x89PNG", ".webp": b"RIFF"}  # and how their files begin


class Pages(NamedTuple):
    """A server that answers, and what it wants to hear from who asks."""

    address: str
    headers: Mapping[str, str]

    def content(self, path: str, /, **query: str) -> bytes:
        """The answer to a request; OSError where it is refused."""
        request = urllib.request.Request(f"{self.address}/{path}?{urlencode(query)}", headers=dict(self.headers))
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return bytes(answer.read())

    def ask(self, path: str, /, **query: str) -> Any:
        """The answer of MLflow's programming interface."""
        return json.loads(self.content(f"api/2.0/mlflow/{path}", **query))

    def files(self, run: str, folder: str = "") -> Iterator[str]:
        """The paths of a run's artifacts, in folders too."""
        for entry in self.ask("artifacts/list", run_id=run, path=folder).get("files", []):
            if entry.get("is_dir"):
                yield from self.files(run, entry["path"])
            else:
                yield entry["path"]

    def picture(self, run: str, path: str) -> bool:
        """Whether an artifact is a picture; AssertionError where its content is none."""
        begin = PICTURES.get(Path(path).suffix)
        content = self.content("get-artifact", path=path, run_uuid=run)
        assert content.startswith(begin or b""), f"{path} of {run} holds {content[:80]!r}"
        return begin is not None

    def steps(self, run: str, key: str) -> list[int]:
        """The steps of a metric's points."""
        answer = self.ask("metrics/get-history", run_id=run, metric_key=key)
        return sorted(int(point["step"]) for point in answer["metrics"])


@contextmanager
def server(folder: Path, stores: Mapping[str, str]) -> Iterator[Pages]:
    """The MLflow server that ``stores`` name, or a plain `mlflow ui` in ``folder``."""
    address = stores.get("MLFLOW_TRACKING_URI", "")
    if address.startswith("http"):
        login = f"{stores['MLFLOW_TRACKING_USERNAME']}:{stores['MLFLOW_TRACKING_PASSWORD']}"
        yield Pages(address, {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"})
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    variables = {**environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            line, cwd=folder, env=variables, stdout=output, stderr=output, start_new_session=True
        )
        try:
            pages = Pages(f"http://127.0.0.1:{port}", {})
            _await(pages, process)
            yield pages
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(LIMIT)


def _await(pages: Pages, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < end:
        try:
            pages.content("health")
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("mlflow ui does not answer")
