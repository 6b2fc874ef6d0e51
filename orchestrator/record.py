"""What a supervisor writes into the record of a trial: its beginning, its deaths, its end."""

import json
import os
import platform
import socket
from pathlib import Path

from orchestrator.book import Asked
from orchestrator.launchers.local import LOG
from orchestrator.messages import Ended, Outcome
from orchestrator.outbox import Outbox, Status
from orchestrator.spec import Spec

STATUS: dict[Outcome, Status] = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "diverged": "KILLED",
    "out_of_memory": "KILLED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
LOG_BYTES = 1_000_000  # of the end of a failed worker's log


def key(spec: Spec, number: int) -> str:
    """The key of a trial's record, its own for ever."""
    return f"{spec.id}/{number}"


def begin(folder: Path, spec: Spec, asked: Asked, device: str) -> None:
    """The trial begins, or goes on."""
    # MLflow prints all parameters above each of a run's pictures, so only what varies is one: the rest is a file.
    params = {**asked.params, "seed": asked.seed, "data": spec.data}
    tags = {
        "sweep": spec.name,
        "study": spec.study,
        "trial": str(asked.number),
        "outcome": "running",
        "device": device,
        "host": f"{socket.gethostname()} ({platform.machine()}, {os.cpu_count()} cores)",
    }
    outbox = Outbox(folder)
    parent = spec.parent_of(asked.params)
    outbox.begin(key(spec, asked.number), f"trial {asked.number}", params, tags, parent, asked.run)
    outbox.content("config.json", json.dumps(asked.config, indent=2).encode())
    outbox.close()


def died(folder: Path, deaths: int) -> None:
    """A worker of it died, and another will go on."""
    outbox = Outbox(folder)
    outbox.tags({"deaths": str(deaths)})
    outbox.close()


def end(folder: Path, end: Ended) -> None:
    """The trial has ended, or is left for later."""
    outbox = Outbox(folder)
    if end.outcome in ("failed", "diverged", "out_of_memory"):
        outbox.note(f"**{end.outcome}**: {end.reason}\n\n```\n{end.detail[-4000:]}\n```")
    log = folder / LOG
    if end.outcome == "failed" and log.exists() and log.stat().st_size:
        outbox.content(LOG, log.read_bytes()[-LOG_BYTES:])
    outbox.end(STATUS[end.outcome], {"outcome": end.outcome} | ({"reason": end.reason} if end.reason else {}))
