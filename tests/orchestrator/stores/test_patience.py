"""A database server that is away is waited for, until the sweep is to end."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.engine.interfaces import Dialect

from orchestrator.stores import patience
from orchestrator.stores.patience import Patience


class Refused(Exception):
    """The driver's OperationalError."""


def away(times: int) -> Dialect:
    """A driver whose server refuses so many connections."""
    refusals = iter(range(times))

    def connect(*arguments: Any, **settings: Any) -> str:
        if next(refusals, None) is not None:
            raise Refused("connection refused\nIs the server running?")
        return f"connected to {arguments[0]} as {settings['user']}"

    return cast(Dialect, SimpleNamespace(connect=connect, loaded_dbapi=SimpleNamespace(OperationalError=Refused)))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.0)


def test_it_is_waited_for_and_said_once() -> None:
    said: list[str] = []
    waits = Patience(lambda: "", said.append)
    assert waits.connect(away(100), None, ["host"], {"user": "me"}) == "connected to host as me"
    assert said == [
        "the storage is away and is waited for: connection refused",
        "the storage is there again",
    ]
    assert waits.connect(away(0), None, ["host"], {"user": "me"}) and len(said) == 2


def test_a_sweep_that_is_to_end_waits_no_longer() -> None:
    reasons = iter(["", "", "interrupted"])
    with pytest.raises(Refused):
        Patience(lambda: next(reasons), lambda text: None).connect(away(100), None, ["host"], {"user": "me"})


def test_it_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "AWAY_SECONDS", -1.0)
    with pytest.raises(Refused):
        Patience(lambda: "", lambda text: None).connect(away(1), None, ["host"], {"user": "me"})
