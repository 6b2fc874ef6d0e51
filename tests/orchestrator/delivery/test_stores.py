"""What the courier relies on, of every store alike: the one in memory that ships for tests, and MLflow."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.entries import Begin, End, Entry, File, Note, Numbers, Picture, Tags
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox
from orchestrator.delivery.store import Refused
from orchestrator.figures.canvas import png
from orchestrator.tracking import connection

PNG = png(np.zeros((8, 8, 3), np.uint8))


class Content(NamedTuple):
    """What a store has of a record."""

    name: str
    status: str
    params: dict[str, str]
    tags: dict[str, str]
    losses: list[tuple[int, float]]
    files: set[str]


def content(store: Any, run: str) -> Content:
    """What the store has of a record; of its tags, those that begin with an ``x``."""
    if isinstance(store, MemoryStore):
        record = store.records[run]
        losses = [(step, value) for step, key, value in record.points if key == "loss"]
        tags, files = record.tags, set(record.files)
        return Content(record.name, record.status, record.params, _own(tags), losses, files)
    found = store.client.get_run(run)
    files = {path for path in store.artifacts(run) if path != "images"}
    losses = store.history(run, "loss")
    return Content(found.info.run_name, found.info.status, found.data.params, _own(found.data.tags), losses, files)


def _own(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name.startswith("x")}


def delete(store: Any, run: str) -> None:
    """Delete a record, as a user may."""
    store.delete(run) if isinstance(store, MemoryStore) else store.discard(run)


def begin(key: str = "k/0", run: str | None = None, name: str = "trial 0") -> Begin:
    return Begin(key=key, name=name, params={"width": "16"}, tags={"x": "1"}, run=run)


@pytest.fixture(params=["memory", "mlflow"])
def store(request: pytest.FixtureRequest, folder: Path) -> Any:
    if request.param == "memory":
        return MemoryStore()
    return connection.connect(f"sqlite:///{folder / 'mlflow.db'}", "--tracking-uri", "toy")


def test_what_is_delivered_twice_is_there_once(store: Any) -> None:
    first = begin()
    entries: list[Entry] = [
        first,
        *(Numbers(step=step, values={"loss": float(step)}) for step in (1, 2, 3)),
        Picture(step=2, key="samples/fresh", png=PNG),
        File(path="config.json", content=b"{}"),
        Tags(values={"x/judge": "a"}),
        Note(markdown="what it is"),
        End(status="FINISHED", tags={"x/outcome": "complete"}, name="trial 0 done"),
    ]
    runs = set()
    for _ in range(2):
        run, _steps = store.begin(first)
        store.deliver(run, entries)
        runs.add(run)
    (run,) = runs
    tags = {"x": "1", "x/judge": "a", "x/outcome": "complete"}
    losses = [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert content(store, run) == Content("trial 0 done", "FINISHED", {"width": "16"}, tags, losses, {"config.json"})
    assert store.begin(first).steps == {"loss": 3, "picture samples/fresh": 2}


def test_a_record_is_found_by_its_id_or_its_key_and_opened_again(store: Any) -> None:
    run, steps = store.begin(begin())
    assert steps == {}
    store.deliver(run, [End(status="KILLED", tags={"x": "stopped"})])
    assert store.begin(begin(name="again")).run == run
    opened = content(store, run)
    assert (opened.name, opened.status, opened.tags) == ("again", "RUNNING", {"x": "1"})
    assert store.begin(begin("another key", run=run)).run == run, "the id comes first"
    assert store.begin(begin("k/1")).run != run


def test_an_end_without_a_status_leaves_the_record_as_it_is(store: Any) -> None:
    run, _ = store.begin(begin())
    store.deliver(run, [End(status="FINISHED", tags={})])
    store.deliver(run, [End(status=None, tags={"x/best": "yes"})])
    changed = content(store, run)
    assert (changed.name, changed.status, changed.tags) == ("trial 0", "FINISHED", {"x": "1", "x/best": "yes"})


def test_a_deleted_record_takes_nothing_and_its_key_makes_a_new_one(store: Any) -> None:
    run, _ = store.begin(begin())
    delete(store, run)
    for attempt in (lambda: store.deliver(run, [Tags(values={"x": "2"})]), lambda: store.begin(begin(run=run))):
        with pytest.raises(Refused) as refusal:
            attempt()
        assert refusal.value.record, "nothing of it will ever be taken"
    assert store.begin(begin()).run != run


def test_an_outbox_may_add_to_a_record_that_another_one_began(store: Any, folder: Path) -> None:
    run, _ = store.begin(begin())
    store.deliver(run, [End(status="FINISHED", tags={})])
    outbox = Outbox(folder / "marks")
    outbox.select(run)
    outbox.numbers(7, {"loss": 0.5})
    outbox.end(None, {"x/best": "yes"})
    delivery = Delivery(folder / "marks", store)
    delivery.drain()
    added = content(store, run)
    assert added.losses == [(7, 0.5)] and added.tags == {"x": "1", "x/best": "yes"} and added.status == "FINISHED"
    assert delivery.sent.refused == 0 and not list((folder / "marks" / "outbox").glob("*.jsonl"))
