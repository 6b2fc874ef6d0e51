"""What a store refuses, for good or as it seems: it takes nothing along, holds nothing up, and can be delivered later."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.delivery import courier as couriers
from orchestrator.delivery import delivery as deliveries
from orchestrator.delivery import outbox as outboxes
from orchestrator.delivery.courier import Courier
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.entries import Begin, End, Entry, Numbers, Tags
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox
from orchestrator.delivery.store import Refused, Unclear
from tests.support.outboxes import begun, only
from tests.support.processes import LIMIT, wait_for


class Strict(MemoryStore):
    """Refuses a key, whatever stands beside it; with ``mended`` it takes all."""

    mended = False

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        self._reach()
        keys = {key for entry in entries if isinstance(entry, Numbers | Tags) for key in entry.values}
        keys |= {key for entry in entries if isinstance(entry, Begin) for key in entry.params}
        keys |= {key for entry in entries if isinstance(entry, End) for key in entry.tags}
        if "bad" in keys and not self.mended:
            raise Refused("bad is refused")
        super().deliver(run, entries)


def test_a_key_that_is_refused_takes_no_other_key_along(tmp_path: Path) -> None:
    """Numbers of a step, parameters, tags and the end of a record; what was refused is taken when the store does."""
    store, outbox = Strict(), Outbox(tmp_path)
    outbox.begin("key", "trial 0", {"x": 0.5, "bad": 1}, {"sweep": "toy"})
    for step in (1, 2, 3):
        outbox.numbers(step, {"loss": 1 / step, "bad": 5.0, "other": 2.0})
    outbox.tags({"bad": "b", "good": "g"})
    outbox.end("FINISHED", {"bad": "c", "outcome": "complete"})
    delivery = Delivery(tmp_path, store)
    delivery.drain()
    record = only(store)
    assert record.params == {"x": "0.5"} and record.tags["good"] == "g"
    assert (record.status, record.tags["outcome"]) == ("FINISHED", "complete") and "bad" not in record.tags
    assert [point for point in record.points if point[1] == "loss"] == [(step, "loss", 1 / step) for step in (1, 2, 3)]
    assert (len(record.points), delivery.sent.refused) == (6, 6)
    assert delivery.deliver_refused() == 0 and delivery.sent.refused == 6
    kept = (tmp_path / "outbox" / deliveries.REFUSED).read_bytes()
    store.away = True
    with pytest.raises(ConnectionError):
        delivery.deliver_refused()
    assert (tmp_path / "outbox" / deliveries.REFUSED).read_bytes() == kept and delivery.sent.refused == 6
    store.away, store.mended = False, True
    again = Delivery(tmp_path, store)
    assert again.deliver_refused() == 6 and again.deliver_refused() == 0
    assert (record.params["bad"], record.tags["bad"], len(record.points)) == ("1", "c", 9)
    assert outboxes.sent(tmp_path / "outbox").refused == 0
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["sent.json"]


class Moody(MemoryStore):
    """Answers unclearly ``times`` times, or always to a key."""

    def __init__(self, times: int = 0) -> None:
        super().__init__()
        self.times = times

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        self.times -= 1
        if self.times >= 0 or any("bad" in entry.values for entry in entries if isinstance(entry, Numbers)):
            raise Unclear("400 Bad Request")
        super().deliver(run, entries)


def test_an_unclear_answer_that_passes_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "RETRY_SECONDS", (0.01, 0.02))
    store, outbox = Moody(times=deliveries.TRIES - 1), begun(tmp_path)
    outbox.numbers(1, {"loss": 1.0})
    outbox.end("FINISHED", {})
    courier = Courier(store)
    courier.serve(tmp_path)
    assert courier.drain(LIMIT)
    courier.close()
    assert only(store).points == [(1, "loss", 1.0)] and not courier.refused


def test_an_outbox_with_unclear_answers_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten outboxes hold what never becomes clear; a healthy one arrives before any of them is given up."""
    monkeypatch.setattr(couriers, "RETRY_SECONDS", (3.0, 3.0))
    store = Moody()
    for number in range(10):
        outbox = Outbox(tmp_path / f"poisoned-{number}")
        outbox.begin(f"poisoned {number}", "trial", {}, {})
        outbox.numbers(1, {"bad": 1.0, "loss": 1.0})
        outbox.end("FINISHED", {})
    healthy = Outbox(tmp_path / "healthy")
    healthy.begin("healthy", "trial", {}, {})
    for step in range(5_000):
        healthy.numbers(step, {"loss": 1.0})
    healthy.end("FINISHED", {})
    courier = Courier(store)
    for folder in sorted(tmp_path.iterdir(), reverse=True):
        courier.serve(folder)
    arrived = lambda: [record for record in store.records.values() if record.status == "FINISHED"]  # noqa: E731
    wait_for(lambda: bool(arrived()), "the healthy record")
    assert [record.key for record in arrived()] == ["healthy"] and len(arrived()[0].points) == 5_000
    assert not courier.refused and not courier.trouble
    courier.close()


class Fussy(MemoryStore):
    """Refuses several keys, each for its own reason."""

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(entry, Numbers) and (bad := sorted(key for key in entry.values if key != "loss")):
                raise Refused(f"{bad[0]} is no name")
        super().deliver(run, entries)


def test_refusals_are_counted_by_their_reasons(tmp_path: Path) -> None:
    outbox = begun(tmp_path)
    for step in (1, 2, 3):
        outbox.numbers(step, {"loss": 1.0, "a b": 1.0} | ({"c@d": 2.0} if step > 1 else {}))
    outbox.end("FINISHED", {})
    courier = Courier(Fussy())
    courier.serve(tmp_path)
    assert courier.drain(LIMIT)
    courier.close()
    assert courier.refused == {"a b is no name": 3, "c@d is no name": 2}
