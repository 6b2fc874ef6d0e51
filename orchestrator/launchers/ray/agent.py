"""The actor of a slot: lives for the sweep on one node, forks a process per trial, and sends what the trial says and writes.

Its methods run in threads side by side: while `listen` waits, `reply` and `kill` come through.
"""

import errno
import os
import platform
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.delivery.outbox import Outbox
from orchestrator.devices import Resources
from orchestrator.files import CannotWrite
from orchestrator.launchers.local import LocalJob, LocalLauncher
from orchestrator.launchers.protocol import Died
from orchestrator.launchers.ray import cargo, mirror, probe, workplace
from orchestrator.launchers.ray.cargo import Shipment
from orchestrator.launchers.ray.mirror import Part, Source
from orchestrator.messages import CANNOT_WRITE, Ended, Message, Reply, Task

START_SECONDS = 60.0  # how long a reply waits for the start of the trial that it is for
LOOK_SECONDS = 0.5  # between looks at what a trial has written while it says nothing


@dataclass(frozen=True)
class Where:
    """Where an actor is."""

    node: str  # the machine's name
    node_id: str  # Ray's
    address: str
    device: str
    gpus: str = ""  # numbers of its GPUs on that machine
    package: str = ""  # what it has of this project, see probe

    @property
    def text(self) -> str:
        """As it is shown."""
        return self.node if self.device == "cpu" else f"{self.node} GPU {self.gpus}"


@dataclass(frozen=True)
class Parcel:
    """What a trial has said and written since the last one."""

    messages: Sequence[Message] = ()
    parts: Sequence[Part] = ()
    processor: float | None = None  # seconds that it has used
    died: tuple[str, bool] | None = None  # how its process ended, and whether for want of memory
    learned: Sequence[Part] = field(default=())  # files of the cache that were made here


@dataclass(frozen=True)
class Life:
    """A trial that is played here."""

    number: int
    job: LocalJob
    source: Source


class Agent:
    """A slot on a node."""

    def __init__(
        self, study: str, threads: int, cuda: bool, cache: Shipment | None, cache_folder: str, seen: str
    ) -> None:
        """``cache`` holds networks that are trained already; ``seen`` names a file that only the supervisor's disk has."""
        import ray

        self.root, self.folder = workplace.root(), workplace.slot()
        self.where = _where(cuda)
        self.last = -1  # number of the last life that began
        self.life: Life | None = None
        self.began = threading.Condition()
        self.lock = threading.Lock()  # of a life's pipe, where it is read or closed
        self.get = ray.get
        self.places: dict[tuple[str, ...], dict[str, Path]] = {}  # of what was sent
        self.shares_cache = Path(seen).exists()
        if self.shares_cache:
            self.cache = Path(cache_folder)
        else:
            self.cache = self.root / "cache"
            self.cache.mkdir(mode=0o700, exist_ok=True)
            self._fill(cache)
        self.cached = Source(self.cache)
        self.cached.known()
        os.environ.pop("RAY_ADDRESS", None)
        resources, module = Resources((self.where.device,), threads), "" if study.endswith(".py") else study
        self.launcher = LocalLauncher(resources, module, leaves=True)
        signal.signal(signal.SIGTERM, lambda number, frame: self._leave())  # Ray makes actors in the main thread

    def ready(self) -> Where:
        """Where it is; answers when it can take trials."""
        return self.where

    def play(
        self, life: int, task: Task, parts: Sequence[Part], shipments: Mapping[str, Shipment], waited: float
    ) -> Parcel:
        """Start the trial; returns the first that it says. ``life`` numbers the lives of trials here."""
        folder = self.folder / f"life-{life}"
        try:
            mirror.unpack(folder, parts)
            needed = cargo.key(task)
            if needed not in self.places:  # looked for once: a data set may have many files
                self.places[needed] = cargo.places(shipments, self.root, self.get)
            placed = cargo.located(task, shipments, self.places[needed], self.root)
            source = Source(folder)
            source.known()
            _note(folder, self.where, waited)
        except (CannotWrite, OSError, RuntimeError, mirror.Damaged) as error:
            if isinstance(error, CannotWrite) or isinstance(error, OSError) and error.errno == errno.ENOSPC:
                shutil.rmtree(folder, ignore_errors=True)
                return Parcel([Ended("stopped", reason=CANNOT_WRITE, detail=str(error))])
            return Parcel(died=(f"{self.where.node} could not prepare it: {error}", False))
        if placed.study.endswith(".py"):  # it may import its neighbours
            beside = str(Path(placed.study).parent)
            sys.path[:] = [beside, *(entry for entry in sys.path if entry != beside)]
        update = {"folder": str(folder), "device": self.where.device, "cache_folder": str(self.cache)}
        job = self.launcher.launch(placed.model_copy(update=update))
        with self.began:
            self.last, self.life = life, Life(life, job, source)
            self.began.notify_all()
        return self.listen(life)

    def listen(self, number: int) -> Parcel:
        """What the trial says next and has written; returns after LOOK_SECONDS at the latest, even where that is nothing."""
        life = self._find(number)
        if life is None:
            return Parcel(died=("it was ended", False))
        died: tuple[str, bool] | None = None
        messages: list[Message] = []
        try:
            self.launcher.wait([life.job], LOOK_SECONDS)
            with self.lock:
                messages = life.job.hear()
        except Died as error:
            died = str(error), error.out_of_memory
        except (OSError, ValueError):  # it is being killed
            died = "it was ended", False
        over = died is not None or any(isinstance(message, Ended) for message in messages)
        processor = None if over else life.job.processor_seconds()
        parcel = Parcel(messages, life.source.news(limited=not over), processor, died, self._learned() if over else ())
        if over:
            self._clear(life)
        return parcel

    def reply(self, number: int, reply: Reply) -> None:
        """Tell the trial."""
        life = self._find(number)
        if life is not None:
            life.job.reply(reply)

    def kill(self, number: int) -> None:
        """End the trial at once, with all that it started; returns when it is gone."""
        life = self._find(number)
        if life is not None:
            with self.lock:
                life.job.kill()
            self._clear(life)

    def close(self) -> None:
        """End what runs, and leave nothing in the slot's folder."""
        if self.life is not None:
            with self.lock:
                self.life.job.kill()
        self.launcher.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _leave(self) -> None:
        """Have the trial leave with a checkpoint, which this process still sends."""
        life = self.life
        if life is not None and life.job.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(life.job.process.pid, signal.SIGTERM)

    def _find(self, number: int) -> Life | None:
        """The life with this number, once it has begun; None where it is over."""
        with self.began:
            self.began.wait_for(lambda: self.last >= number, START_SECONDS)
            return self.life if self.life is not None and self.life.number == number else None

    def _clear(self, life: Life) -> None:
        with self.began:
            if self.life is life:
                self.life = None
        shutil.rmtree(life.source.folder, ignore_errors=True)

    def _learned(self) -> Sequence[Part]:
        """Networks that were trained here, for the supervisor's cache."""
        return () if self.shares_cache else self.cached.news()

    def _fill(self, cache: Shipment | None) -> None:
        """Have the networks that the supervisor has."""
        if cache is None:
            return
        folder = cache.place(self.root, self.get)
        for name in cache.stamps:
            if not (self.cache / name).exists():
                aside = self.cache / f"{name}.{os.getpid()}"
                aside.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, aside)
                os.replace(aside, self.cache / name)


def _where(cuda: bool) -> Where:
    import ray

    context = ray.get_runtime_context()
    device, gpus = ("cuda:0", os.environ.get("CUDA_VISIBLE_DEVICES", "")) if cuda else ("cpu", "")
    address, package = ray.util.get_node_ip_address(), probe.package()
    return Where(socket.gethostname(), context.get_node_id(), address, device, gpus, package)


def _note(folder: Path, where: Where, waited: float) -> None:
    """Begin the trial's outbox on this node with where it runs; it travels like all the rest."""
    tags = {
        "host": f"{where.node} ({platform.machine()}, {os.cpu_count()} cores)",
        "node": where.node_id,
        "device": f"{where.device} (GPU {where.gpus})" if where.gpus else where.device,
        "waited": f"{waited:.1f} s",
    }
    outbox = Outbox(folder)
    outbox.tags(tags)
    outbox.close()
