"""What trials read from the supervisor's disk: the study's file, data, trained networks. Sent to each node once, by digest.

A node that has the very same files at the same place, as on one machine or a shared disk, uses those.
"""

import hashlib
import io
import os
import shutil
import tarfile
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from models.data import kinds
from models.data.clouds.dataset import FORMS as CLOUD_FORMS
from models.data.files import FORMS
from orchestrator.errors import UserError
from orchestrator.layout import MODEL, WEIGHTS
from orchestrator.messages import Task

SHIPPED = "shipped"  # in a node's folder
PART_BYTES = 16 * 2**20  # of an archive that are held at a time
MOST = 8 * 2**30  # bytes; more belongs on a disk that all nodes see
WITH_PATH = {*FORMS, *CLOUD_FORMS}  # words behind which a path stands in the name of data
MODEL_FIELD = "model"  # of a config: the folder of a trained network


@dataclass(frozen=True)
class Shipment:
    """Files below ``base``, by their names there."""

    base: str
    named: str  # as the task names it
    digest: str
    stamps: Mapping[str, tuple[int, int, int]]  # of each file: inode, size, time
    content: Sequence[Any] = field(default=(), compare=False)  # references to the archive's parts in Ray's store

    def is_here(self) -> bool:
        """Whether this machine has the very same files at the same place."""
        try:
            return all(_stamp(Path(self.base, name)) == stamp for name, stamp in self.stamps.items())
        except OSError:
            return False

    def place(self, root: Path, fetch: Callable[[Any], bytes]) -> Path:
        """Where the files are on this node; fetched and unpacked by the first process that asks."""
        if self.is_here():
            return Path(self.base)
        folder = root / SHIPPED / self.digest
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                aside = folder.with_name(f"{self.digest}.{uuid.uuid4().hex}")
                try:
                    _unpack(map(fetch, self.content), aside)
                    if _digest(aside, sorted(self.stamps)) != self.digest:
                        raise RuntimeError(f"files of {self.base} were damaged on their way")
                    aside.rename(folder)
                finally:
                    shutil.rmtree(aside, ignore_errors=True)
        return folder


class Cargo:
    """The shipments of a sweep, each packed once."""

    def __init__(self, store: Callable[[bytes], Any]) -> None:
        """``store`` puts a part of an archive where nodes can fetch it from, and returns what they fetch it by."""
        self.store = store
        self.packed: dict[tuple[str, ...], Shipment] = {}

    def of(self, task: Task) -> dict[str, Shipment]:
        """What the task needs, by the field that names it: study, data, data_folder, model."""
        needed: dict[str, tuple[str, Path, Sequence[Path]]] = {}
        if task.study.endswith(".py"):
            folder = Path(task.study).parent
            needed["study"] = task.study, folder, sorted(folder.glob("*.py"))
        if kinds.is_path(task.data):
            named = _path(task.data)
            path = Path(named).expanduser()
            needed["data"] = named, path.parent, _below(path)
        else:
            folder = Path(task.data_folder)
            files = [file for part in _parts(task.data) for file in _below(folder / part)]
            needed["data_folder"] = task.data_folder, folder, files
        model = task.config.get(MODEL_FIELD)
        if isinstance(model, str) and Path(model, WEIGHTS).exists():
            files = [Path(model, name) for name in (WEIGHTS, MODEL) if Path(model, name).exists()]
            needed["model"] = model, Path(model), files
        return {what: self._shipment(*entry) for what, entry in needed.items() if entry[2]}

    def cache(self, folder: Path) -> Shipment | None:
        """The networks in the folder of those that are trained once; None where there is none yet."""
        paths = [path for path in _below(folder) if not path.name.startswith(".")]
        return self._shipment(str(folder), folder, paths) if paths else None

    def _shipment(self, named: str, base: Path, paths: Sequence[Path]) -> Shipment:
        names = tuple(str(path.relative_to(base)) for path in paths)
        key = (named, *names)
        if key not in self.packed:
            stamps = {name: _stamp(base / name) for name in names}
            size = sum(stamp[1] for stamp in stamps.values())
            if size > MOST:
                raise UserError(
                    f"{base} holds {size / 1e9:.1f} GB for every node, and at most {MOST / 1e9:.1f} GB are sent; put it on a "
                    "disk that all nodes see under the same path"
                )
            content = _pack(base, names, self.store)
            self.packed[key] = Shipment(str(base), named, _digest(base, names), stamps, content)
        return self.packed[key]


def key(task: Task) -> tuple[str, ...]:
    """Tasks with the same key need the same."""
    return task.study, task.data, task.data_folder, str(task.config.get(MODEL_FIELD))


def places(shipments: Mapping[str, Shipment], own: Path, fetch: Callable[[Any], bytes]) -> dict[str, Path]:
    """Where on this node what a task needs is by now; ``own`` is the node's folder."""
    return {what: shipment.place(own, fetch) for what, shipment in shipments.items()}


def located(task: Task, shipments: Mapping[str, Shipment], places: Mapping[str, Path], own: Path) -> Task:
    """The task with the paths of this node."""
    change: dict[str, Any] = {"data_folder": str(places.get("data_folder", own / "data"))}
    if "study" in places:
        change["study"] = str(places["study"] / Path(task.study).name)
    if "data" in places:
        named, change["data_named"] = shipments["data"].named, task.data
        change["data"] = task.data.replace(named, str(places["data"] / Path(named).name))
    if "model" in places:
        change["config"] = {**task.config, MODEL_FIELD: str(places["model"])}
    return task.model_copy(update=change)


def _path(data: str) -> str:
    """The path in the name of a user's own data, without what stands before it and the options behind it."""
    rest = data
    while rest.partition(":")[0] not in WITH_PATH:
        rest = rest.partition(":")[2]
    rest = rest.partition(":")[2]
    while not Path(rest).expanduser().exists() and ":" in rest:
        rest = rest.rpartition(":")[0]
    return rest


def _parts(data: str) -> list[str]:
    """Folders below the data folder in which a known set may lie."""
    places = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "cifar-10-batches-py", "persian": "persian"}
    return [places[word] for word in data.split(":") if word in places]


def _below(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and file.suffix != ".lock")
    return [path] if path.is_file() else []


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _digest(base: Path, names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0{os.path.getsize(base / name)}\0".encode())
        with (base / name).open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()


class _Parts(io.RawIOBase):
    """A file that is written in parts of PART_BYTES, each handed to ``store`` as soon as it is full."""

    def __init__(self, store: Callable[[bytes], Any]) -> None:
        self.store, self.stored, self.part = store, list[Any](), bytearray()

    def write(self, content: Any) -> int:
        """See io.RawIOBase."""
        self.part += content
        while len(self.part) >= PART_BYTES:
            self.stored.append(self.store(bytes(self.part[:PART_BYTES])))
            del self.part[:PART_BYTES]
        return len(content)

    def end(self) -> list[Any]:
        """What all parts were stored by."""
        return [*self.stored, self.store(bytes(self.part))]


class _Joined(io.RawIOBase):
    """A file that is read from parts, one after the other."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts, self.part = iter(parts), memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """See io.RawIOBase."""
        content = bytearray()
        while len(content) < size:
            if not self.part:
                self.part = memoryview(next(self.parts, b""))
                if not self.part:
                    break
            taken = self.part[: size - len(content)]
            content += taken
            self.part = self.part[len(taken) :]
        return bytes(content)


def _pack(base: Path, names: Sequence[str], store: Callable[[bytes], Any]) -> list[Any]:
    """An archive of the files, of which this process holds one part at a time."""
    parts = _Parts(store)
    with tarfile.open(fileobj=parts, mode="w|") as archive:
        for name in names:
            archive.add(base / name, arcname=name, recursive=False)
    return parts.end()


def _unpack(parts: Iterable[bytes], folder: Path) -> None:
    """Files only, and none outside ``folder``."""
    folder.mkdir(mode=0o700)
    with tarfile.open(fileobj=_Joined(parts), mode="r|") as archive:
        for member in archive:
            if not member.isfile() or os.path.isabs(member.name) or ".." in Path(member.name).parts:
                raise RuntimeError(f"an archive for a node holds {member.name!r}, which is no file below its folder")
            path, source = folder / member.name, archive.extractfile(member)
            assert source is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(source, file)
