"""Ids that change when a sweep is carried to another store, in everything that refers to them."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")  # of a sweep, of a run and, behind "m-", of a model


@dataclass
class Renaming:
    """Old ids with the new ones. An id is as long as another, so a text keeps its length and its positions."""

    ids: dict[str, str] = field(default_factory=dict)

    def in_text(self, text: str) -> str:
        """The text with the new ids."""
        return ID.sub(lambda match: self.ids.get(match[0], match[0]), text)

    def in_json(self, value: Any) -> Any:
        """The same for whatever JSON holds."""
        return json.loads(self.in_text(json.dumps(value)))

    def in_files(self, folder: Path, endings: Collection[str]) -> None:
        """Put the new ids into the files of ``folder`` whose names end so; '' stands for names without an ending."""
        for path in folder.rglob("*"):
            if path.suffix in endings and path.is_file():
                before = path.read_bytes()
                after = self._in_bytes(before)
                if after != before:
                    path.write_bytes(after)

    def _in_bytes(self, content: bytes) -> bytes:
        return self.in_text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
