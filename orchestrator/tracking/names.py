"""Names that MLflow takes for numbers and pictures whose own names it refuses."""

import hashlib
import posixpath
import re

LONGEST_METRIC = 250  # letters: MLflow's own limit
LONGEST_FILE = 120  # bytes of a picture's key: with step, time and id its file's name stays below 255
LONGEST_DATA = 500  # bytes of a data set's name
LONGEST_TAG, LONGEST_PARAM = 8_000, 6_000  # letters of a value; MLflow cuts off what is more, and says so nowhere
REFUSED = re.compile(r"[^/\w.\- :]")  # MLflow's rule for metrics, without the colon's exception on Windows


def metric(key: str) -> str:
    """``key`` where MLflow takes it; else a name near to it, such as acc_5-1f3a of acc@5, that no other key has."""
    name = REFUSED.sub("_", key)
    if name != posixpath.normpath(name) or name.startswith(("/", "..")) or name == ".":  # MLflow makes a path of it
        name = "/".join(part.replace("..", "_") for part in name.split("/") if part not in ("", ".")) or "_"
    return _short(name if name == key else f"{name}-{_digest(key)[:4]}", LONGEST_METRIC)


def picture(key: str) -> str:
    """The part of a picture's file name that says its key."""
    mark = f"-{_digest(key)[:4]}" if "~" in key else ""  # else a/b and a~b were one
    return _short(key.replace("/", "~") + mark, LONGEST_FILE)


def data_set(name: str) -> str:
    """The name of a data set, such as a long path, as MLflow takes it."""
    return _short(name, LONGEST_DATA)


def value(text: str, most: int) -> str:
    """A value of at most so many letters, which says that it was longer."""
    mark = f" … ({len(text)} letters in all)"
    return text if len(text) <= most else f"{text[: most - len(mark)]}{mark}"


def _short(name: str, most: int) -> str:
    """At most so many bytes; what is cut off is told apart by a hash."""
    encoded = name.encode()
    if len(encoded) <= most:
        return name
    return f"{encoded[: most - 9].decode(errors='ignore')}-{_digest(name)[:8]}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
