"""A record that has begun, and the one that a store has."""

from pathlib import Path

from orchestrator.delivery.memory import MemoryStore, Record
from orchestrator.delivery.outbox import Outbox


def begun(folder: Path) -> Outbox:
    outbox = Outbox(folder)
    outbox.begin("key", "trial 0", {"x": 0.5}, {"sweep": "toy"})
    return outbox


def only(store: MemoryStore) -> Record:
    (record,) = store.records.values()
    return record
