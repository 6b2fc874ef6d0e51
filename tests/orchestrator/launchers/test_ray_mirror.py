"""A trial's folder on a node and its copy at the supervisor: whole, in order, and nothing outside it."""

import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orchestrator.delivery import outbox
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox
from orchestrator.files import CannotWrite
from orchestrator.launchers.ray import cargo, mirror
from orchestrator.launchers.ray.cargo import Cargo
from orchestrator.launchers.ray.mirror import Added, Damaged, Source, Target, Whole, checksum
from orchestrator.layout import CHECKPOINT, LOG, OUTBOX, PREVIOUS_CHECKPOINT, WEIGHTS
from orchestrator.messages import Task
from orchestrator.worker import checkpoint, log
from tests.support.bench import toy_task


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The folder here, in which the record was begun, and the one on a node."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    record = Outbox(here)
    record.begin("key", "trial 0", {}, {})
    record.close()
    mirror.unpack(there, mirror.of_earlier_lives(here))
    return here, there


def test_a_checkpoint_arrives_after_the_records_it_refers_to(pair: tuple[Path, Path]) -> None:
    here, there = pair
    source, target = Source(there), Target(here)
    source.known()
    record = Outbox(there)
    for step in (1, 2):
        record.numbers(step, {"loss": 1 / step})
        checkpoint.save(there, {"step": step, "outbox": record.position().model_dump()})
        parts = source.news()
        assert [type(part) for part in parts] == [Added, Whole]
        target.take(parts)
    assert source.news() == []
    record.close()

    def usable(state: dict[str, object]) -> bool:
        return outbox.holds(here, outbox.Position(**state["outbox"]))  # type: ignore[arg-type]

    state = checkpoint.load(here, usable)
    assert state is not None and state["step"] == 2
    assert torch.load(here / PREVIOUS_CHECKPOINT, weights_only=True)["step"] == 1
    store = MemoryStore()
    Delivery(here, store).drain()
    assert store.record("key").points == [(1, "loss", 1.0), (2, "loss", 0.5)]


def test_a_second_life_elsewhere_writes_behind_the_first_and_knows_what_is_there(pair: tuple[Path, Path]) -> None:
    here, there = pair
    source, target = Source(there), Target(here)
    record = Outbox(there)
    record.numbers(1, {"loss": 1.0})
    checkpoint.save(there, {"step": 1, "outbox": record.position().model_dump()})
    target.take(source.news())
    record.close()
    store = MemoryStore()
    Delivery(here, store).drain()
    other = there.with_name("other")
    mirror.unpack(other, mirror.of_earlier_lives(here))
    state = checkpoint.load(other, lambda state: outbox.holds(other, outbox.Position(**state["outbox"])))
    assert state is not None and state["step"] == 1
    again = Source(other)
    again.known()
    record = Outbox(other)
    record.numbers(1, {"loss": 9.0})  # said again: passed over
    record.numbers(2, {"loss": 0.5})
    record.close()
    Target(here).take(again.news())
    Delivery(here, store).drain()
    assert store.record("key").points == [(1, "loss", 1.0), (2, "loss", 0.5)]


def test_the_log_goes_on_over_lives(pair: tuple[Path, Path]) -> None:
    here, there = pair
    for word in (b"one\n", b"two\n"):
        there = there.with_name(word.decode().strip())
        there.mkdir()
        (there / LOG).write_bytes(word)
        Target(here).take(Source(there).news())
    assert (here / LOG).read_bytes() == b"one\ntwo\n"


def test_a_log_that_was_cut_on_its_node_goes_on_and_is_bounded_here_too(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    monkeypatch.setattr(log, "LONGEST_BYTES", 200)
    monkeypatch.setattr(log, "LOG_BYTES", 100)
    log_file, source, target = there / LOG, Source(there), Target(here)
    log_file.write_bytes(b"old\n" * 45)
    target.take(source.news())
    log_file.write_bytes(b"cut\n")  # shorter than what was sent of it
    target.take(source.news())
    assert (here / LOG).read_bytes() == b"old\n" * 45 + b"cut\n"
    with log_file.open("ab") as file:
        file.write(b"new\n" * 10)
    target.take(source.news())
    assert (here / LOG).stat().st_size <= 200 and (here / LOG).read_bytes().endswith(b"new\n" * 10)


def test_a_checkpoint_waits_until_all_records_before_it_are_sent(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parcel holds a limited number of bytes."""
    _, there = pair
    monkeypatch.setattr(mirror, "MOST", 1_000)
    source = Source(there)
    source.known()
    record = Outbox(there)
    for step in range(40):
        record.numbers(step, {"loss": 1.0})
    checkpoint.save(there, {"step": 40, "outbox": record.position().model_dump()})
    record.close()
    parcels = [source.news()]
    while parts := source.news():
        parcels.append(parts)
    assert len(parcels) > 2 and [type(part) for part in parcels[-1]] == [Added, Whole]
    sizes = [sum(len(part.content) for part in parts if isinstance(part, Added)) for parts in parcels]
    assert all([type(part) for part in parts] == [Added] for parts in parcels[:-1])
    assert max(sizes) <= 1_000 and sum(sizes) == record.offset
    assert [type(part) for part in Source(there).news(limited=False)][-1] is Whole, "the last parcel of a life is whole"


@pytest.mark.parametrize(
    "name",
    ["../escaped", "/etc/escaped", "", "worker.json", "./worker.json", f"{OUTBOX}/sent.json", f"{OUTBOX}//sent.json"],
)
def test_a_node_writes_nowhere_else(pair: tuple[Path, Path], name: str) -> None:
    here, _ = pair
    before = sorted(here.rglob("*"))
    with pytest.raises(Damaged):
        Target(here).take([Whole(name, b"x", checksum(b"x"))])
    assert sorted(here.rglob("*")) == before and not (here.parent / "escaped").exists()


def test_what_was_damaged_on_its_way_leaves_the_old_file(pair: tuple[Path, Path]) -> None:
    here, _ = pair
    Target(here).take([Whole(CHECKPOINT, b"good", checksum(b"good"))])
    with pytest.raises(Damaged, match="checkpoint.pt"):
        Target(here).take([Whole(CHECKPOINT, b"go", checksum(b"good"))])
    assert (here / CHECKPOINT).read_bytes() == b"good"


def test_a_disk_that_takes_nothing_is_said(pair: tuple[Path, Path]) -> None:
    here, _ = pair
    (here / OUTBOX / "000007.jsonl").mkdir()
    with pytest.raises(CannotWrite):
        Target(here).take([Added(f"{OUTBOX}/000007.jsonl", 0, b"{}\n")])


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, this is a machine that does not have the supervisor's files."""
    return lambda: monkeypatch.setattr(cargo.Shipment, "is_here", lambda shipment: False)


def test_study_data_and_network_are_unpacked_once_and_the_task_names_them(
    tmp_path: Path, elsewhere: Callable[[], None]
) -> None:
    (tmp_path / "faces").mkdir()
    for name in ("faces/one.npz", "study.py", "neighbour.py", WEIGHTS):
        (tmp_path / name).write_bytes(name.encode())
    data = f"halved:npz:{tmp_path}/faces/one.npz"
    change = {"study": f"{tmp_path}/study.py", "data": data, "config": {"model": str(tmp_path)}}
    task = toy_task(tmp_path).model_copy(update=change)
    packed: list[bytes] = []
    shipments = Cargo(lambda content: packed.append(content) or len(packed) - 1).of(task)  # type: ignore[func-returns-value]
    fetched: list[int] = []

    def fetch(content: int) -> bytes:
        fetched.append(content)
        return packed[content]

    own = tmp_path / "node"
    own.mkdir()

    def located(shipments: Mapping[str, cargo.Shipment]) -> Task:
        return cargo.located(task, shipments, cargo.places(shipments, own, fetch), own)

    here = located(shipments)
    assert (here.study, here.data, fetched) == (task.study, data, []), "this machine has the very files"
    elsewhere()
    for _ in range(2):
        placed = located(shipments)
    assert len(fetched) == 3, "each once"
    assert Path(placed.study).read_bytes() == b"study.py" and Path(placed.study).with_name("neighbour.py").exists()
    assert (
        placed.data.startswith(f"halved:npz:{own}/")
        and Path(placed.data.split(":")[2]).read_bytes() == b"faces/one.npz"
    )
    assert placed.data_named == data and Path(placed.config["model"], WEIGHTS).read_bytes() == WEIGHTS.encode()
    broken = {what: replace(shipment, digest="0" * 64) for what, shipment in shipments.items()}
    with pytest.raises(RuntimeError, match="damaged on their way"):
        located(broken)


@pytest.mark.parametrize("form", ["xyz", "modelnet40c", "folder", "halved:folder"])
def test_data_of_every_kind_are_sent(form: str, tmp_path: Path, elsewhere: Callable[[], None]) -> None:
    (tmp_path / "mine" / "train").mkdir(parents=True)
    (tmp_path / "mine" / "train" / "one").write_bytes(b"one")
    task = toy_task(tmp_path).model_copy(update={"data": f"{form}:{tmp_path}/mine"})
    packed: list[bytes] = []
    shipments = Cargo(lambda content: packed.append(content) or len(packed) - 1).of(task)  # type: ignore[func-returns-value]
    elsewhere()
    own = tmp_path / "node"
    own.mkdir()
    placed = cargo.located(task, shipments, cargo.places(shipments, own, packed.__getitem__), own)
    prefix, _, path = placed.data.rpartition(":")
    assert prefix == form and Path(path).is_relative_to(own) and Path(path, "train", "one").read_bytes() == b"one"


def test_large_files_travel_in_parts(
    tmp_path: Path, elsewhere: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither end holds more than a part of an archive."""
    monkeypatch.setattr(cargo, "PART_BYTES", 10_000)
    contents = {f"mine/{i}": bytes([i]) * size for i, size in enumerate((0, 1, 9_999, 10_000, 55_555))}
    (tmp_path / "mine").mkdir()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    task = toy_task(tmp_path).model_copy(update={"data": f"folder:{tmp_path}/mine"})
    packed: list[bytes] = []
    shipments = Cargo(lambda content: packed.append(content) or len(packed) - 1).of(task)  # type: ignore[func-returns-value]
    assert len(shipments["data"].content) > 7 and max(map(len, packed)) == 10_000
    elsewhere()
    own = tmp_path / "node"
    own.mkdir()
    folder = cargo.places(shipments, own, packed.__getitem__)["data"]
    assert {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    } == contents
    cut = replace(shipments["data"], content=shipments["data"].content[:-2], digest="0")
    with pytest.raises((RuntimeError, tarfile.TarError)):
        cut.place(own, packed.__getitem__)
