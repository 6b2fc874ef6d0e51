"""What one terminal asks of a sweep that another one drives: requests, kept with the sweep, and what became of them."""

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from orchestrator.errors import UserError
from orchestrator.search.book import REQUEST, Book

GONE = "the process that drove it had ended before it heard this"
Command = Literal["stop", "pause", "resume", "extend", "skip", "enqueue"]


class Request(BaseModel, frozen=True):
    """One command. ``answer`` says what was done, once it was."""

    do: Command
    at: str
    by: str
    now: bool = False  # stop: with checkpoints, at once
    trial: int | None = None  # skip
    trials: int | None = None  # extend: the new total
    timeout: float | None = None  # extend: seconds from now
    params: dict[str, Any] = {}  # enqueue
    answer: str | None = None
    refused: bool = False  # the answer says why
    seconds: float | None = None  # until it was answered


class Sweep(Protocol):
    """What executes commands: each method returns what was done, in a sentence; UserError where it cannot be."""

    @property
    def state(self) -> str:
        """running, paused, stopping, or why it is leaving."""

    def pause(self) -> str: ...

    def resume(self) -> str: ...

    def stop(self, now: bool) -> str: ...

    def skip(self, number: int) -> str: ...

    def extend(self, trials: int | None, timeout: float | None) -> str: ...

    def enqueue(self, params: Mapping[str, Any]) -> str: ...


def execute(sweep: Sweep, request: Request) -> Request:
    """Do what is asked; returns the request with what was done, or why it was refused, in a sentence."""
    try:
        return request.model_copy(update={"answer": _done(sweep, request)})
    except UserError as error:
        return request.model_copy(update={"answer": str(error), "refused": True})


def _done(sweep: Sweep, request: Request) -> str:
    """Do what is asked; returns what was done. UserError where it cannot be."""
    match request.do:
        case "pause":
            return sweep.pause() if sweep.state == "running" else f"it is {sweep.state} already"
        case "resume":
            if sweep.state != "paused":
                raise UserError(f"it is {sweep.state}, not paused")
            return sweep.resume()
        case "stop":
            return sweep.stop(request.now)
        case "extend":
            return sweep.extend(request.trials, request.timeout)
        case "enqueue":
            return sweep.enqueue(request.params)
        case "skip":
            return sweep.skip(-1 if request.trial is None else request.trial)


def post(book: Book, do: Command, **details: Any) -> str:
    """Ask something of the sweep; returns the request's key."""
    key = f"{REQUEST}{time.time_ns()}-{uuid.uuid4().hex[:6]}"
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    book.note(key, Request(do=do, at=at, by=_who(), **details).model_dump(mode="json"))
    return key


def requests(book: Book) -> dict[str, Request]:
    """Everything that was ever asked of the sweep, in its order, by key."""
    notes = book.notes()
    return {key: Request.model_validate(notes[key]) for key in sorted(notes) if key.startswith(REQUEST)}


def pending(book: Book) -> dict[str, Request]:
    """What has not been answered."""
    return {key: request for key, request in requests(book).items() if request.answer is None}


def answer(book: Book, key: str, request: Request) -> None:
    """Store what became of a request."""
    seconds = round(time.time() - int(key.removeprefix(REQUEST).partition("-")[0]) / 1e9, 3)
    book.note(key, request.model_copy(update={"seconds": seconds}).model_dump(mode="json"))


def wait(book: Book, key: str, seconds: float, gone: Callable[[], bool] = lambda: False) -> Request | None:
    """A request that is answered; None where it is not after ``seconds``.

    Where the supervisor is ``gone`` the request is answered here: the next supervisor is not to do it.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        left = gone()  # asked first: what it answered before is there
        request = Request.model_validate(book.notes()[key])
        if request.answer is not None:
            return request
        if left:
            answer(book, key, request.model_copy(update={"answer": GONE, "refused": request.do != "stop"}))
        else:
            time.sleep(0.1)
    return None


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
