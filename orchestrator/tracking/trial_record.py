"""What a supervisor writes into the record of a trial: its beginning, its deaths, its end."""

import json
import os
import platform
import socket
from pathlib import Path

from orchestrator.delivery.entries import Status
from orchestrator.delivery.outbox import Outbox
from orchestrator.layout import LOG
from orchestrator.messages import Ended, Outcome
from orchestrator.search.spec import Spec
from orchestrator.search.trials import PendingTrial
from orchestrator.tracking import descriptions

STATUS: dict[Outcome, Status] = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "diverged": "KILLED",
    "out_of_memory": "KILLED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
TITLE = " · "  # between the parts of a trial's name: its number, what came of it, its settings


def key(spec: Spec, number: int) -> str:
    """The key of a trial's record, its own for ever."""
    return f"{spec.id}/{number}"


def begin(folder: Path, spec: Spec, trial: PendingTrial, label: str, device: str) -> None:
    """The trial begins, or goes on; ``label`` tells its settings at a glance."""
    # MLflow prints all parameters above each of a run's pictures, so only what varies is one: the rest is a file.
    params = {**trial.params, "seed": trial.seed, "data": spec.data}
    tags = {
        "sweep": spec.name,
        "study": spec.study,
        "data": spec.data,
        "trial": str(trial.number),
        "outcome": "running",
        "device": device,
        "host": f"{socket.gethostname()} ({platform.machine()}, {os.cpu_count()} cores)",
    }
    outbox = Outbox(folder)
    parent = spec.parent_of(trial.params)
    outbox.begin(key(spec, trial.number), _title(trial.number, label), params, tags, parent, trial.run)
    outbox.content("config.json", json.dumps(trial.config, indent=2).encode())
    outbox.close()


def died(folder: Path, deaths: int) -> None:
    """A worker of it died, and another will go on."""
    outbox = Outbox(folder)
    outbox.tags({"deaths": str(deaths)})
    outbox.close()


def end(folder: Path, spec: Spec, number: int, label: str, end: Ended, log: bytes = b"", fresh: str = "") -> None:
    """The trial has ended, or is left for later. It is named by what came of it, for lists show little else.

    ``log`` is what its worker printed, where that is to be seen; ``fresh`` the key of the FID of new images.
    """
    outbox = Outbox(folder)
    title = _title(number, label)
    if end.outcome != "stopped":
        outbox.note(descriptions.trial(spec, number, end, fresh))
        title = _title(number, descriptions.result(spec, end), label)
    if log:
        outbox.content(LOG, log)
    tags = {"outcome": end.outcome} | ({"reason": end.reason} if end.reason else {})
    outbox.end(STATUS[end.outcome], tags, title)


def _title(number: int, *parts: str) -> str:
    return TITLE.join([f"trial {number}", *filter(None, parts)])
