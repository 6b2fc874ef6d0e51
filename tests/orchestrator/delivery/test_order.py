"""What a courier does in which order: it serves open outboxes until they close, and no record holds up another."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.delivery import courier as couriers
from orchestrator.delivery import delivery as deliveries
from orchestrator.delivery import outbox as outboxes
from orchestrator.delivery.courier import Courier
from orchestrator.delivery.delivery import Delivery, deliver_now
from orchestrator.delivery.entries import Begin, Entry
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox
from orchestrator.delivery.store import Found
from orchestrator.errors import UserError
from orchestrator.files import CannotWrite, cannot_write
from tests.support.processes import LIMIT


def begin(folder: Path, key: str = "key") -> Outbox:
    outbox = Outbox(folder)
    outbox.begin(key, key, {}, {})
    return outbox


def test_a_batch_that_ends_with_a_record_leaves_the_segments_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "BATCH", 3)
    store = MemoryStore()
    outbox = begin(tmp_path)
    outbox.numbers(1, {"loss": 1.0})
    outbox.end("KILLED", {})
    outbox.begin("key", "key", {}, {})
    outbox.numbers(2, {"loss": 2.0})
    outbox.close()
    delivery = Delivery(tmp_path, store)
    assert delivery.step() == 3 and store.record("key").status == "KILLED"
    assert outboxes.segments(delivery.folder) == [1, 2]
    delivery.drain()
    assert [step for step, *_ in store.record("key").points] == [1, 2]


def test_an_open_outbox_is_served_after_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "LOOK_SECONDS", 0.01)
    store, outbox, pauses = MemoryStore(), begin(tmp_path), 0
    enough, step = threading.Event(), Delivery.step

    def count_pauses(delivery: Delivery) -> int:
        nonlocal pauses
        delivered = step(delivery)
        pauses += not delivered
        if pauses:
            enough.set()
        return delivered

    monkeypatch.setattr(Delivery, "step", count_pauses)
    courier = Courier(store)
    try:
        courier.serve(tmp_path)
        assert enough.wait(LIMIT), "the courier looks again into an outbox that is open"
        outbox.numbers(1, {"loss": 1.0})
        assert courier.drain(LIMIT)
        assert store.record("key").points == [(1, "loss", 1.0)]
    finally:
        courier.close()
        outbox.close()


class Stubborn(MemoryStore):
    """Out of reach for the record of one key."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key, self.attempts, self.enough = key, 0, threading.Event()

    def begin(self, entry: Begin) -> Found:
        if entry.key == self.key:
            self.attempts += 1
            if self.attempts == 3:
                self.enough.set()
            raise ConnectionError("not now")
        return super().begin(entry)


def test_a_record_that_fails_again_and_again_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "RETRY_SECONDS", (0.01, 0.01))
    store = Stubborn("first")
    for key in ("first", "second", "third"):
        begin(tmp_path / key, key).end("FINISHED", {})
    courier = Courier(store)
    try:
        with courier.lock:  # so that all of them are there when the courier begins
            courier.deliveries = {
                tmp_path / key: Delivery(tmp_path / key, store) for key in ("first", "second", "third")
            }
        assert store.enough.wait(LIMIT)
        assert [record.key for record in store.records.values()] == ["second", "third"]
        assert courier.trouble == "not now"
    finally:
        courier.close()


def test_an_outbox_that_must_be_delivered_now_says_why_it_cannot(tmp_path: Path) -> None:
    store = MemoryStore()
    begin(tmp_path).close()
    store.away = True
    sentence = r"--tracking-uri=http://host:5000 cannot be opened \(nobody answers\); see that the server is up"
    with pytest.raises(UserError, match=sentence):
        deliver_now(tmp_path, store, "http://host:5000")
    store.away = False
    run = deliver_now(tmp_path, store, "http://host:5000")
    assert run == outboxes.run_id(tmp_path) == next(iter(store.records))
    store.delete(run)
    begin(tmp_path).close()
    with pytest.raises(UserError, match=rf"http://host:5000 refuses a record of the sweep \(run {run} is not active\)"):
        deliver_now(tmp_path, store, "http://host:5000")


class FullDisk(MemoryStore):
    """A store at a machine whose disk is full."""

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        raise cannot_write(Path("outbox"), OSError(28, "No space left on device"))


def test_a_full_disk_is_not_said_to_be_a_store_out_of_reach(tmp_path: Path) -> None:
    begin(tmp_path).close()
    with pytest.raises(CannotWrite, match="No space left on device"):
        deliver_now(tmp_path, FullDisk(), "http://host:5000")
