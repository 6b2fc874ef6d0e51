"""What a session says when its tracker fails or refuses: the way to go on, and by the exit status of `sweep sync`."""

import io
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from rich.console import Console

from orchestrator import session, sweep
from orchestrator.delivery.outbox import Outbox
from orchestrator.errors import UserError
from orchestrator.launchers.inline import InlineLauncher
from orchestrator.tracking import sweep_record
from tests.support.paths import QUADRATIC


def test_a_tracker_that_fails_early_is_told_with_the_way_to_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep is there by then. What was started for it is ended."""
    closed: list[InlineLauncher] = []

    def refuse(*arguments: Any, **named: Any) -> None:
        raise MlflowException("API request to endpoint failed with error code 400", error_code=BAD_REQUEST)

    monkeypatch.setattr(InlineLauncher, "close", lambda launcher: closed.append(launcher))
    with monkeypatch.context() as patch:
        patch.setattr(sweep_record, "begin", refuse)
        with pytest.raises(UserError) as error:
            sweep.run(QUADRATIC, trials=1, name="toy", workers=0, quiet=True)
    assert "error code 400" in str(error.value) and str(error.value).endswith(" resume toy`")
    assert len(closed) == 1
    assert len(sweep.load("toy").resume(workers=0, quiet=True).trials) == 1


def test_sync_fails_while_entries_are_refused(folder: Path) -> None:
    book = sweep.run(QUADRATIC, trials=1, name="toy", workers=0, quiet=True)._book
    outbox, console = Outbox(Path(book.spec.folder)), Console(file=io.StringIO(), width=200)
    outbox.select(book.spec.run)
    outbox.numbers(2**63, {"loss": 1.0})
    outbox.end(None, {})
    for _ in range(2):
        assert session.sync(book, console) == 1
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert said.count("1 entry was refused by the tracker: loss was said at step 9223372036854775808") == 2


def test_sync_succeeds_where_nothing_waits(folder: Path) -> None:
    book = sweep.run(QUADRATIC, trials=1, name="toy", workers=0, quiet=True)._book
    assert session.sync(book, Console(file=io.StringIO())) == 0
