"""The file that a packed sweep is: a zip of a small home with that sweep alone, and a manifest that tells what is in it.

It is read with care, for it may come from anywhere: nothing is written outside the folder that is given, and a file that is
damaged, foreign or of a newer version is refused before anything is made of it.
"""

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from orchestrator.errors import UserError
from orchestrator.layout import NAME
from orchestrator.text import program

MANIFEST = "manifest.json"
FORMAT = 1
DENSE = (".png", ".webp", ".jpg", ".pt", ".safetensors", ".gz")  # files that do not get smaller
BLOCK = 1 << 20
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError, ValueError)
"""What reading a zip raises that is cut, changed, encrypted or packed in an unknown way."""


class Manifest(BaseModel, frozen=True):
    """What a packed sweep is."""

    program: Literal["generative-sweeps"] = "generative-sweeps"
    format: int = Field(FORMAT, ge=1)
    version: str  # of the program that packed it
    name: str = Field(pattern=f"^{NAME}$")
    id: str  # of the sweep that was packed
    study_file: str = ""  # of a user's own study: where it was, relative to the home if it was below it
    experiment: str  # of MLflow, that its runs are in; '' where it has none
    model: bool  # whether MLflow's registry has a model of it
    trials: int
    runs: int
    files: int = 0
    bytes: int = 0  # of all files
    sha256: str = ""  # of the files' names and contents


def write(folder: Path, path: Path, manifest: Manifest) -> Manifest:
    """Write all files of ``folder`` to the zip ``path``; returns the manifest with their number, size and checksum."""
    digest, count, size = hashlib.sha256(), 0, 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            name = file.relative_to(folder).as_posix()
            content = hashlib.sha256()
            info = zipfile.ZipInfo.from_file(file, name, strict_timestamps=False)
            info.compress_type = zipfile.ZIP_STORED if file.suffix in DENSE else zipfile.ZIP_DEFLATED
            with file.open("rb") as source, archive.open(info, "w") as target:
                while block := source.read(BLOCK):
                    content.update(block)
                    target.write(block)
                    size += len(block)
            digest.update(_line(name, content.hexdigest()))
            count += 1
        whole = manifest.model_copy(update={"files": count, "bytes": size, "sha256": digest.hexdigest()})
        archive.writestr(MANIFEST, whole.model_dump_json(indent=2))
    return whole


def read(path: Path) -> Manifest:
    """What the packed sweep at ``path`` is; UserError where it is none, is damaged, or is of a newer version."""
    with _opened(path) as archive:
        if MANIFEST not in archive.namelist():
            raise _foreign(path)
        content = archive.read(MANIFEST)
        try:
            manifest = Manifest.model_validate_json(content)
        except ValidationError:
            raise _foreign(path) from None
    if manifest.format > FORMAT:
        raise UserError(
            f"{path} was packed by a newer version ({manifest.version}, format {manifest.format}; this one reads up to "
            f"format {FORMAT}); unpack it with that version, or pack it again with this one"
        )
    return manifest


def extract(path: Path, folder: Path, manifest: Manifest) -> None:
    """Write the files of the packed sweep at ``path`` into ``folder``, all of them and none elsewhere; UserError else."""
    digest, size = hashlib.sha256(), 0
    with _opened(path) as archive:
        members = sorted((info for info in archive.infolist() if info.filename != MANIFEST), key=_name)
        _check(path, members, manifest)
        for info in members:
            target = folder / info.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            content = hashlib.sha256()
            with archive.open(info) as source, target.open("xb") as file:
                while block := source.read(BLOCK):
                    size += len(block)
                    if size > manifest.bytes:  # it says that it is smaller than it is
                        raise _damaged(path, "its size is not the one that it had")
                    content.update(block)
                    file.write(block)
            digest.update(_line(info.filename, content.hexdigest()))
    if digest.hexdigest() != manifest.sha256:
        raise _damaged(path, "its checksum is not the one that it had")


def _name(info: zipfile.ZipInfo) -> str:
    return info.filename


def _check(path: Path, members: list[zipfile.ZipInfo], manifest: Manifest) -> None:
    """UserError where a name leads out of the folder, or stands for something else than a file, or files are missing."""
    for info in members:
        name, kind = PurePosixPath(info.filename), stat.S_IFMT(info.external_attr >> 16)
        outside = (
            name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in info.filename.split("/")[0]
        )
        if outside or info.is_dir() or kind not in (0, stat.S_IFREG) or str(name) != info.filename:
            raise UserError(f"{path} is refused: {info.filename!r} in it is no file below the folder that is unpacked")
    if len({info.filename for info in members}) != len(members) or len(members) != manifest.files:
        raise _damaged(path, "files are missing, or there twice")


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe or a device may never end
        raise UserError(f"{path} is no regular file; name the file that `{program()} pack` made")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; `{program()} pack NAME -o FILE` makes one") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name the file that `{program()} pack` made") from None
    except DAMAGED as error:
        if not _begins_as_zip(path):
            raise _foreign(path) from None
        raise _damaged(path, str(error) or type(error).__name__) from None


def _begins_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _foreign(path: Path) -> UserError:
    return UserError(f"{path} is no packed sweep; `{program()} pack NAME -o FILE` makes one")


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is damaged ({why}); copy it again from where it was packed, or pack the sweep again")


def _line(name: str, digest: str) -> bytes:
    return f"{digest} {name}\n".encode()
