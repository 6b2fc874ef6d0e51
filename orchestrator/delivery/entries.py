"""What a record is made of: the entries of an outbox, each a line of JSON."""

import time
import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class _Entry(BaseModel, frozen=True, ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"):
    at: int = Field(default_factory=lambda: int(time.time() * 1000))  # milliseconds since 1970


class Begin(_Entry):
    """The record begins, or goes on. ``key`` is its own for ever: by it a record is found that was begun already."""

    do: Literal["begin"] = "begin"
    key: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    parent: str | None = None  # id of the record that it is shown below
    run: str | None = None  # its id, where that is known


class Select(_Entry):
    """What follows goes into a record that exists. It is neither opened nor renamed."""

    do: Literal["select"] = "select"
    run: str


class Numbers(_Entry):
    """Numbers at a step."""

    do: Literal["numbers"] = "numbers"
    step: int
    values: dict[str, float]


class Picture(_Entry):
    """A picture that plays over steps, as PNG."""

    do: Literal["picture"] = "picture"
    step: int
    key: str
    png: bytes
    id: str = Field(default_factory=lambda: str(uuid.uuid4()))


class File(_Entry):
    """A file at a path of the record; a later one of the same path replaces it."""

    do: Literal["file"] = "file"
    path: str
    content: bytes


class Tags(_Entry):
    """Facts to find records by; a later one of the same name replaces it."""

    do: Literal["tags"] = "tags"
    values: dict[str, str]


class Note(_Entry):
    """The description that the record's page shows, in Markdown."""

    do: Literal["note"] = "note"
    markdown: str


class Data(_Entry):
    """The data set that was read."""

    do: Literal["data"] = "data"
    name: str
    source: str
    digest: str
    sizes: dict[str, int]


class End(_Entry):
    """The last entry of its segment. The record is closed with a status, or left as it is; it may begin again."""

    do: Literal["end"] = "end"
    status: Status | None
    tags: dict[str, str]
    name: str = ""  # that it has from now on; '' leaves the one it has


Entry = Begin | Select | Numbers | Picture | File | Tags | Note | Data | End
ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="do")])
