"""What a tracker that answers, but not as MLflow does, is told to be, each with its own way out; and what was deleted in one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from orchestrator.delivery.entries import Numbers
from orchestrator.errors import UserError
from orchestrator.stores import answers
from orchestrator.tracking import connection
from orchestrator.tracking.mlflow_store import MlflowStore

ANSWER = {"status": 200, "body": ""}  # and "files": what a folder is said to hold
PAGE = "<!doctype html><html><body>Welcome to the proxy</body></html>"
ERROR = json.dumps({"error_code": "PERMISSION_DENIED", "message": "Permission denied"})


class Handler(BaseHTTPRequestHandler):
    """Answers everything alike."""

    def do_GET(self) -> None:
        is_listing = self.command == "GET" and "?path=" in self.path
        body = str(ANSWER["files" if is_listing and "files" in ANSWER else "body"]).encode()
        self.send_response(int(str(ANSWER["status"])))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is printed."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, "You are not authenticated", "wants to know who you are; set MLFLOW_TRACKING_USERNAME and"),
        (
            403,
            ERROR,
            "does not let you do this; ask its administrator for the permission EDIT, or set MLFLOW_TRACKING_USER",
        ),
        (403, "Permission denied", "does not let you do this; ask its administrator"),
        (404, PAGE, "is no MLflow server: something else answers there; give the address that shows MLflow's pages"),
        (200, PAGE, "is no MLflow server: something else answers there"),
        (200, "", "answers with nothing, which MLflow never does; look at the proxy in front of it"),
        (400, "Bad Request", r"answers with an error of its own \(HTTP 400\); look into the server's log"),
        (500, "Internal Server Error", r"answers with an error of its own \(.*500.*\); look into the server's log"),
        (502, PAGE, "answers with an error of its own"),
        (503, "upstream is away", "answers with an error of its own"),
    ],
)
def test_a_server_that_answers_otherwise(address: str, folder: Path, status: int, body: str, sentence: str) -> None:
    ANSWER.update(status=status, body=body)
    with pytest.raises(UserError, match=f"^--tracking-uri={address} {sentence}") as error:
        connection.connect(address, "--tracking-uri", "toy")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("body", ["", " ", PAGE])
def test_an_answer_without_content_means_later(address: str, folder: Path, body: str) -> None:
    """MLflow's client takes it for a success, and what was to be delivered would be lost."""
    ANSWER.update(status=200, body=body)
    (folder / "log.txt").write_text("a word")
    files = get_artifact_repository(f"{address}/api/2.0/mlflow-artifacts/artifacts/1/run")
    store = MlflowStore(address, "1")
    for ask in (
        lambda: store.deliver("run", [Numbers(step=1, values={"loss": 0.5})]),
        lambda: files.log_artifact(str(folder / "log.txt")),
    ):
        with pytest.raises(MlflowException) as error:
            ask()
        assert answers.is_later(error.value)


def test_a_file_that_arrived_is_known_by_its_name_in_the_folder(
    address: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow answers the sending of a file with nothing."""
    listing = json.dumps({"files": [{"path": "a word.txt", "is_dir": False}]})
    monkeypatch.setitem(ANSWER, "files", listing)
    ANSWER.update(status=200, body="")
    MlflowStore(address, "1")
    files = get_artifact_repository(f"{address}/api/2.0/mlflow-artifacts/artifacts/1/run")
    for name in ("a word.txt", "another.txt"):
        (folder / name).write_text("a word")
    files.log_artifact(str(folder / "a word.txt"), "words")
    with pytest.raises(MlflowException, match="an empty answer, and the file is not there"):
        files.log_artifact(str(folder / "another.txt"), "words")


def test_an_empty_file_may_be_read(address: str, folder: Path) -> None:
    ANSWER.update(status=200, body="")
    MlflowStore(address, "1")
    files = get_artifact_repository(f"{address}/api/2.0/mlflow-artifacts/artifacts/1/run")
    files._download_file("empty.txt", str(folder / "empty.txt"))
    assert (folder / "empty.txt").read_bytes() == b""


def test_an_experiment_that_was_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{folder}/mlflow.db"
    store = connection.connect(uri, "--tracking-uri", "toy")
    run = store.client.create_run(store.experiment).info.run_id
    store.client.delete_experiment(store.experiment)
    command = f"MLFLOW_TRACKING_URI={uri} mlflow experiments restore -x {store.experiment}"
    with pytest.raises(UserError) as error:
        connection.connect(uri, "--tracking-uri", "toy")
    assert str(error.value).startswith(f"the experiment 'toy' was deleted in MLflow; restore it: {command}, or")
    with pytest.raises(
        UserError, match="`sweep doctor mine --repair` restores it, or MLFLOW_TRACKING_URI=.*restore -x"
    ):
        connection.connect(uri, "--tracking-uri", "toy", "", "mine", [run])
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "thesis")  # the last way out of the sentence
    assert connection.connect(uri, "--tracking-uri", "toy").experiment != store.experiment
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    store.client.restore_experiment(store.experiment)  # as the command does
    assert connection.connect(uri, "--tracking-uri", "toy", "", "mine", [run]).experiment == store.experiment


def test_a_run_that_was_deleted_or_is_gone(folder: Path) -> None:
    uri = f"sqlite:///{folder}/mlflow.db"
    store = connection.connect(uri, "--tracking-uri", "toy")
    run = store.client.create_run(store.experiment).info.run_id
    store.client.delete_run(run)
    with pytest.raises(
        UserError, match=f"the run {run[:8]} of 'mine' was deleted in MLflow; .*mlflow runs restore --run-id {run}"
    ):
        connection.connect(uri, "--tracking-uri", "toy", "", "mine", [run])
    with pytest.raises(
        UserError, match="has no run 01234567 of 'mine' any more; `sweep doctor mine --repair` makes it again"
    ):
        connection.connect(uri, "--tracking-uri", "toy", "", "mine", ["0123456789abcdef0123456789abcdef"])


@pytest.mark.parametrize("left", [[], ["mlflow.db"]])
def test_a_file_that_is_gone_or_empty_is_not_made_anew_for_runs_that_were_in_it(left: list[str], folder: Path) -> None:
    for name in left:
        (folder / name).touch()
    with pytest.raises(
        UserError, match="with the runs of 'mine' is gone or empty; put it back, .*doctor mine --repair"
    ):
        connection.connect(f"sqlite:///{folder}/mlflow.db", "--tracking-uri", "toy", "", "mine", ["0123456789abcdef"])
    assert [path.name for path in folder.iterdir()] == left
    assert all(not path.stat().st_size for path in folder.iterdir())


def test_variables_that_name_an_experiment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{folder}/mlflow.db"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "thesis")
    store = connection.connect(uri, "--tracking-uri", "toy")
    assert store.client.get_experiment(store.experiment).name == "thesis"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", store.experiment)
    assert connection.connect(uri, "--tracking-uri", "toy").experiment == store.experiment
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "99")
    with pytest.raises(
        UserError, match="^MLFLOW_EXPERIMENT_ID=99 is no experiment of sqlite:.*; unset it, or choose one"
    ):
        connection.connect(uri, "--tracking-uri", "toy")
