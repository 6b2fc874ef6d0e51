"""Records on disk and their delivery: once, in order, whatever is cut, repeated or out of reach meanwhile."""

import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.delivery import courier as couriers
from orchestrator.delivery import delivery as deliveries
from orchestrator.delivery import outbox as outboxes
from orchestrator.delivery.courier import Courier
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.entries import Entry, Numbers
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox, Position
from orchestrator.delivery.store import Refused
from orchestrator.files import CannotWrite
from tests.support.outboxes import begun, only
from tests.support.processes import LIMIT, wait_for


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_everything_arrives_in_its_order_and_the_file_goes(tmp_path: Path, store: MemoryStore) -> None:
    outbox = begun(tmp_path)
    for step in range(1, 1200):
        outbox.numbers(step, {"loss": 1 / step, "odd": math.nan})
    outbox.picture("samples", 1200, b"png")
    outbox.content("log.txt", b"\x00\xff not text")
    outbox.tags({"a": "b"})
    outbox.note("words")
    outbox.end("FINISHED", {"outcome": "complete"})
    Delivery(tmp_path, store).drain()
    record = only(store)
    assert [point for point in record.points if point[1] == "loss"] == [(k, "loss", 1 / k) for k in range(1, 1200)]
    assert all(math.isnan(value) for _, key, value in record.points if key == "odd")
    assert record.pictures == [(1200, "samples")] and record.files == {"log.txt": b"\x00\xff not text"}
    assert (record.status, record.description, record.tags["outcome"]) == ("FINISHED", "words", "complete")
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["sent.json"]
    assert outboxes.run_id(tmp_path) == record.id


def test_what_a_trial_says_again_is_passed_over(tmp_path: Path, store: MemoryStore) -> None:
    first = begun(tmp_path)
    for step in (1, 2, 3):
        first.numbers(step, {"loss": step})
        first.picture("samples", step, b"png")
    first.close()
    delivery = Delivery(tmp_path, store)
    delivery.step()  # some of it may have arrived, or none
    again = begun(tmp_path)
    for step in (2, 3, 4):
        again.numbers(step, {"loss": step, "new": step})
        again.picture("samples", step, b"png")
    again.end("FINISHED", {})
    delivery.drain()
    record = only(store)
    assert [point[0] for point in record.points if point[1] == "loss"] == [1, 2, 3, 4]
    assert [point[0] for point in record.points if point[1] == "new"] == [2, 3, 4]
    assert [step for step, _ in record.pictures] == [1, 2, 3, 4]


def test_a_delivered_segment_that_a_killed_courier_left_goes_with_the_next_one(
    tmp_path: Path, store: MemoryStore
) -> None:
    first = begun(tmp_path)
    first.numbers(1, {"loss": 1})
    first.close()
    delivered = outboxes.path_of(tmp_path / "outbox", 1).read_bytes()
    begun(tmp_path).end("FINISHED", {})
    Delivery(tmp_path, store).drain()
    # It was killed when it had noted how far it was, and before it removed the file.
    outboxes.path_of(tmp_path / "outbox", 1).write_bytes(delivered)
    Delivery(tmp_path, store).drain()
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["sent.json"]
    assert only(store).points == [(1, "loss", 1)]


def test_a_line_without_an_end_is_not_waited_for(tmp_path: Path, store: MemoryStore) -> None:
    begun(tmp_path).close()
    path = outboxes.path_of(tmp_path / "outbox", 1)
    with path.open("ab") as file:
        file.write(b'{"do": "numb')  # its writer was killed
    courier = Courier(store)
    courier.serve(tmp_path)
    assert courier.drain(LIMIT)
    with path.open("ab") as file:  # or it was not
        file.write(b'ers", "step": 1, "values": {"loss": 1}}\n')
    assert courier.drain(LIMIT)
    courier.close()
    assert only(store).points == [(1, "loss", 1)]


def test_steps_of_a_key_increase_or_the_trainer_is_told(tmp_path: Path) -> None:
    outbox = begun(tmp_path)
    outbox.numbers(2, {"loss": 1.0})
    outbox.numbers(2, {"other": 1.0})
    with pytest.raises(ValueError, match="loss was said at step 2 after step 2: the steps of a key only increase"):
        outbox.numbers(2, {"loss": 1.0})
    outbox.close()


@pytest.mark.parametrize("seed", range(20))
def test_a_file_that_was_cut_costs_what_was_behind_the_cut_and_nothing_else(
    tmp_path: Path, store: MemoryStore, seed: int
) -> None:
    """At any place, before or behind what has been delivered; the trial says it again from an earlier checkpoint."""
    chance = random.Random(seed)
    outbox = begun(tmp_path)
    positions = {}
    for step in range(1, 40):
        outbox.numbers(step, {"loss": float(step)})
        positions[step] = outbox.position()
    outbox.close()
    delivery = Delivery(tmp_path, store)
    deliveries.BATCH, before = chance.randrange(1, 50), deliveries.BATCH
    try:
        delivery.step()
    finally:
        deliveries.BATCH = before
    path = outboxes.path_of(tmp_path / "outbox", 1)
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
    vouched = max((step for step, position in positions.items() if outboxes.holds(tmp_path, position)), default=0)
    again = begun(tmp_path)
    for step in range(vouched + 1, 45):  # as from the newest checkpoint that can be used
        again.numbers(step, {"loss": float(step)})
    again.end("FINISHED", {})
    Delivery(tmp_path, store).drain()
    assert only(store).points == [(step, "loss", float(step)) for step in range(1, 45)]


def test_what_arrived_is_not_said_again_though_nobody_noted_it_and_the_file_was_cut(
    tmp_path: Path, store: MemoryStore
) -> None:
    """Killed between the tracker's answer and our note of it; then the trial says all of it again, at another time."""
    outbox = begun(tmp_path)
    delivery = Delivery(tmp_path, store)
    delivery.drain()
    note = (tmp_path / "outbox" / outboxes.SENT).read_bytes()
    early = outboxes.path_of(tmp_path / "outbox", 1).read_bytes()
    for step in range(1, 10):
        outbox.numbers(step, {"loss": float(step)})
        outbox.picture("samples", step, b"png")
    outbox.close()
    delivery.drain()
    (tmp_path / "outbox" / outboxes.SENT).write_bytes(note)
    outboxes.path_of(tmp_path / "outbox", 1).write_bytes(early)
    again = begun(tmp_path)
    for step in range(1, 13):
        again.numbers(step, {"loss": float(step)})
        again.picture("samples", step, b"png")
    again.end("FINISHED", {})
    Delivery(tmp_path, store).drain()
    assert only(store).points == [(step, "loss", float(step)) for step in range(1, 13)]
    assert only(store).pictures == [(step, "samples") for step in range(1, 13)]


def test_a_damaged_line_is_passed_over_and_counted(tmp_path: Path, store: MemoryStore) -> None:
    outbox = begun(tmp_path)
    for step in (1, 2, 3):
        outbox.numbers(step, {"loss": 1.0})
    outbox.close()
    path = outboxes.path_of(tmp_path / "outbox", 1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"x" * len(lines[2][:-1]) + b"\n", *lines[3:]]))
    delivery = Delivery(tmp_path, store)
    delivery.drain()
    assert [step for step, *_ in only(store).points] == [1, 3]
    assert (delivery.sent.refused, delivery.sent.reason) == (1, "1 damaged lines")


class Picky(MemoryStore):
    """Refuses odd steps, one by one or in company."""

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        if any(isinstance(entry, Numbers) and entry.step % 2 for entry in entries):
            raise Refused("it is odd")
        super().deliver(run, entries)


def test_what_is_refused_is_kept_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    store = Picky()
    outbox = begun(tmp_path)
    for step in range(1, 11):
        outbox.numbers(step, {"loss": 1.0})
    outbox.end("FINISHED", {})
    delivery = Delivery(tmp_path, store)
    delivery.drain()
    assert [step for step, *_ in only(store).points] == [2, 4, 6, 8, 10] and only(store).status == "FINISHED"
    assert (delivery.sent.refused, delivery.sent.reason) == (5, "it is odd")
    assert len((tmp_path / "outbox" / deliveries.REFUSED).read_text().splitlines()) == 5


class Forgetful(MemoryStore):
    """Takes an entry and loses the connection before saying so, every other time; as MLflow, it keeps points once."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        super().deliver(run, entries)
        record = self.records[run]
        record.points = list(dict.fromkeys(record.points))
        self.calls += 1
        if self.calls % 2:
            raise ConnectionError("lost")


def test_a_courier_tries_again_until_all_has_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "RETRY_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(deliveries, "BATCH", 7)
    store = Forgetful()
    outbox = begun(tmp_path)
    courier = Courier(store)
    courier.serve(tmp_path)
    for step in range(1, 200):
        outbox.numbers(step, {"loss": float(step)})
    outbox.end("FINISHED", {})
    assert courier.drain(LIMIT)
    courier.close()
    assert only(store).points == [(step, "loss", float(step)) for step in range(1, 200)]


def test_a_tracker_that_is_away_costs_nothing_and_gets_everything_when_it_is_back(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "RETRY_SECONDS", (0.01, 0.05))
    courier = Courier(store)
    store.away = True
    for number in range(3):
        outbox = Outbox(tmp_path / f"trial-{number}")
        outbox.begin(f"key/{number}", f"trial {number}", {}, {})
        outbox.numbers(1, {"loss": 1.0})
        outbox.end("FINISHED", {})
        courier.serve(tmp_path / f"trial-{number}")
    assert not courier.drain(0.3)
    assert not courier.drain(0.0), "nothing says that it is back"
    assert courier.trouble == "nobody answers" and courier.pending() > 0 and not store.records
    store.away = False
    assert courier.drain(LIMIT) and courier.pending() == 0
    wait_for(lambda: not courier.deliveries)  # those that are closed need no look any more
    courier.close()
    assert [record.status for record in store.records.values()] == ["FINISHED"] * 3


def test_a_record_that_was_never_begun_is_kept_aside(tmp_path: Path, store: MemoryStore) -> None:
    outbox = Outbox(tmp_path)
    outbox.numbers(1, {"loss": 1.0})
    outbox.close()
    delivery = Delivery(tmp_path, store)
    delivery.drain()
    assert not store.records and delivery.sent.reason == "its record was never begun"


def test_a_position_behind_the_end_is_not_held(tmp_path: Path) -> None:
    outbox = begun(tmp_path)
    here = outbox.position()
    outbox.close()
    assert outboxes.holds(tmp_path, here)
    assert not outboxes.holds(tmp_path, Position(segment=here.segment, offset=here.offset + 1))
    assert not outboxes.holds(tmp_path, Position(segment=here.segment + 1, offset=1))


def test_what_was_cut_before_it_was_delivered_is_not_held_though_the_courier_has_gone_on(
    tmp_path: Path, store: MemoryStore
) -> None:
    """A checkpoint vouches for what its outbox holds: else the trial would go on from it, and say that never again."""
    outbox = begun(tmp_path)
    outbox.numbers(1, {"loss": 1.0})
    delivery = Delivery(tmp_path, store)
    delivery.step()
    early = outbox.position()
    outbox.numbers(2, {"loss": 1.0})
    late = outbox.position()
    outbox.close()
    path = outboxes.path_of(tmp_path / "outbox", 1)
    path.write_bytes(path.read_bytes()[: early.offset])
    begun(tmp_path).close()
    delivery.drain()
    assert outboxes.sent(tmp_path / "outbox").segment == 2
    assert outboxes.holds(tmp_path, early) and not outboxes.holds(tmp_path, late)


def test_a_segment_that_has_just_been_made_is_not_taken_for_a_closed_one(tmp_path: Path, store: MemoryStore) -> None:
    outbox = begun(tmp_path)
    outbox.end("KILLED", {"outcome": "stopped"})
    delivery = Delivery(tmp_path, store)
    delivery.drain()
    path = outboxes.path_of(tmp_path / "outbox", 2)
    path.touch()  # somebody is about to write
    delivery.drain()
    assert path.exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file where the folder should be")
    with pytest.raises(
        CannotWrite, match="outbox cannot be written .*; move the file away that is in the place of a folder"
    ):
        begun(tmp_path)


def test_a_file_that_goes_while_it_is_weighed_weighs_nothing(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The courier's thread delivers and drops while another one asks what is left."""
    begun(tmp_path).close()
    delivery = Delivery(tmp_path, store)
    there = outboxes.segments(delivery.folder)
    delivery.drain()
    outboxes.path_of(delivery.folder, there[0]).unlink()
    monkeypatch.setattr(outboxes, "segments", lambda folder: there)
    assert delivery.pending() == 0
