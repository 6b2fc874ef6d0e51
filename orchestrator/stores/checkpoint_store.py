"""Checkpoints at an address that fsspec reaches: a folder that several machines see, a bucket.

Each file is written aside and renamed, and begins with a line that holds its SHA-256: what was cut or damaged is passed over.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.errors import UserError
from orchestrator.files import CannotWrite
from orchestrator.layout import CHECKPOINT, PREVIOUS_CHECKPOINT
from orchestrator.stores import urls

# By which fsspec reaches buckets.
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class Parcel(NamedTuple):
    """A checkpoint, and the entries of the trial's outbox that were not known to be delivered when it was written."""

    state: bytes
    record: bytes


def resolve(text: str) -> str:
    """The address of ``--checkpoints``, that of a folder whole; UserError for one that cannot be. Nothing is looked at."""
    address = urls.public(text.strip(), "--checkpoints")
    scheme, separator, place = address.partition("://")
    if not separator:
        return Path(address).expanduser().absolute().as_uri()
    if scheme == "memory":
        raise UserError("--checkpoints memory://: memory ends with its process; name a folder or a bucket")
    if scheme not in ("file", *PACKAGES):
        raise UserError(
            f"--checkpoints {address}: there is no {scheme}:// for checkpoints; name a folder, s3:// or gs://"
        )
    if not place.strip("/"):
        raise UserError(f"--checkpoints {address} names no bucket and no folder; write {scheme}://BUCKET/PATH")
    return address.rstrip("/")


def check(address: str) -> None:
    """UserError where nothing can be written at an address; the folder is made."""
    scheme = address.partition("://")[0]
    try:
        system, path = _open(address)
        probe = f"{path}/.probe-{uuid.uuid4().hex}"
        system.makedirs(path, exist_ok=True)
        system.pipe_file(probe, b"probe")
        system.rm_file(probe)
    except ImportError:
        raise UserError(
            f"--checkpoints {address}: what reads {scheme}:// is not installed; install it: pip install {PACKAGES[scheme]}"
        ) from None
    except Exception as error:  # of whatever library reaches the address
        raise UserError(
            f"--checkpoints {address} cannot be written to ({_reason(error)}); name a place that can"
        ) from None


def write(address: str, parcel: Parcel) -> None:
    """Put a trial's checkpoint at ``address`` and keep the one before; CannotWrite where that is not possible."""
    content = parcel.record + parcel.state
    head = {"sha256": hashlib.sha256(content).hexdigest(), "record": len(parcel.record)}
    try:
        system, path = _open(address)
        system.makedirs(path, exist_ok=True)
        aside = f"{path}/{CHECKPOINT}.part"
        system.pipe_file(aside, json.dumps(head).encode() + b"\n" + content)
        with suppress(FileNotFoundError):
            system.mv(f"{path}/{CHECKPOINT}", f"{path}/{PREVIOUS_CHECKPOINT}")
        system.mv(aside, f"{path}/{CHECKPOINT}")
    except Exception as error:
        raise CannotWrite(f"no checkpoint can be written to {address} ({_reason(error)}); see to that place") from error


def read(address: str) -> Iterator[Parcel]:
    """The checkpoints of a trial at ``address`` that are whole, the newest first; CannotWrite where nothing can be read."""
    aside = f"{CHECKPOINT}.part"  # where the writer was killed between two renamings
    for name in (CHECKPOINT, aside, PREVIOUS_CHECKPOINT):
        try:
            system, path = _open(address)
            head, _, content = system.cat_file(f"{path}/{name}").partition(b"\n")
        except FileNotFoundError:
            continue
        except Exception as error:
            raise CannotWrite(f"{address} cannot be read ({_reason(error)}); see to that place") from error
        with suppress(ValueError, KeyError, TypeError):
            facts = json.loads(head)
            if hashlib.sha256(content).hexdigest() == facts["sha256"]:
                yield Parcel(content[facts["record"] :], content[: facts["record"]])
                continue
        print(f"{address}/{name} is damaged, so the one before is used", flush=True)


def remove(address: str) -> None:
    """Forget all that is at ``address``. What cannot be removed stays: it is in nobody's way."""
    with suppress(Exception):
        system, path = _open(address)
        system.rm(path, recursive=True)


def _open(address: str) -> tuple[Any, str]:
    """The file system and the path in it."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(address)
    system.invalidate_cache()
    return system, path


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
