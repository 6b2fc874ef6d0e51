"""A Ray cluster of several nodes on this machine: a node is a process with a temporary folder, and perhaps a disk, of its own."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import psutil
from filelock import FileLock

from tests.support.machines import Machine
from tests.support.paths import ROOT
from tests.support.processes import Process, wait_until_gone

# Ray reads them when it is imported, and never again.
VARIABLES = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0"}
UNSHARED = ("unshare", "--mount", "sh", "-c")
NO_NAMESPACES = "this machine gives no mount namespace, by which a node would have a disk of its own; run it as root"


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])


def own_address() -> str:
    """This machine's address as Ray sees it: the one by which it would reach others. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as looking:
        try:
            looking.connect(("192.0.2.1", 80))
            return str(looking.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def mounts() -> bool:
    """Whether a process may have mounts of its own here."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*UNSHARED, f"mount -t tmpfs none {folder}"]
        return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True).returncode == 0


class Node:
    """A node that runs; its folder is its alone."""

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        variables: dict[str, str],
        hidden: Path | None,
        machine: Machine | None,
    ) -> None:
        folder.mkdir(mode=0o700)
        self.folder, self.machine = folder, machine
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *arguments]
        command = [*ray, "--include-dashboard=false"] if "--head" in arguments else ray
        command = [*command, f"--temp-dir={folder}"]
        if hidden is not None:
            command = [*UNSHARED, f'mount -t tmpfs none {hidden} && exec "$@"', "sh", *command]
        temporary = str(folder if machine is None or machine.disk is None else machine.disk)
        if machine is not None:
            command = [*machine.enter(folder), *command]
        self.process = Process(command, folder, variables | {"TMPDIR": temporary})
        self.process.wait_for(lambda: "Ray runtime started" in self.process.stdout + self.process.stderr)
        self.family = self.process.family()

    def raylet(self) -> psutil.Process:
        """The process that is the node."""
        (found,) = [process for process in self.process.family() if process.name() == "raylet"]
        return found

    def actors(self) -> list[psutil.Process]:
        """The processes of slots there."""
        actors = []
        for process in self.process.family():
            with suppress(psutil.Error):  # it has just ended
                actors += [process] if "".join(process.cmdline()).startswith("ray::Agent") else []
        return actors

    def lose(self) -> None:
        """Kill the node as a power cut does: all of it at once."""
        family = self.process.family()
        if self.machine is not None:
            self.machine.close()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        wait_until_gone(family)

    def leave(self) -> None:
        """Have it say goodbye to the head, as on SIGTERM, where it is still there."""
        if self.process.returncode is None:
            started = psutil.Process(self.process.pid)
            (started.children()[0] if self.machine else started).terminate()
            self.process.finish()

    def close(self) -> None:
        """End it."""
        self.process.close()
        if self.machine is not None:
            self.machine.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cluster:
    """A head, and nodes that join and are lost."""

    def __init__(self, cpus: int) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="nodes-", dir="/tmp"))  # sockets want short paths
        self.variables = VARIABLES
        port = free_port()
        self.address = f"{own_address()}:{port}"
        self.nodes: list[Node] = []
        self._start(["--head", f"--port={port}", f"--num-cpus={cpus}"], None)

    def add(
        self, cpus: int = 1, hidden: Path | None = None, machine: Machine | None = None, modules: Path | None = None
    ) -> Node:
        """Another node; the folder ``hidden`` is empty there. Or one on a machine of its own, or with other ``modules``."""
        address = machine.address if machine else f"127.0.0.{len(self.nodes) + 1}"
        arguments = [f"--address={self.address}", f"--node-ip-address={address}", f"--num-cpus={cpus}"]
        path = {"PYTHONPATH": f"{modules}{os.pathsep}{ROOT}"} if modules else {}
        return self._start(arguments, hidden, machine, path)

    def _start(
        self,
        arguments: Sequence[str],
        hidden: Path | None,
        machine: Machine | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> Node:
        folder = self.place / f"n{len(self.nodes)}"
        self.nodes.append(Node(folder, arguments, {**self.variables, **variables}, hidden, machine))
        return self.nodes[-1]

    def close(self) -> None:
        """End all nodes, the head last."""
        for node in reversed(self.nodes):
            node.close()
        shutil.rmtree(self.place, ignore_errors=True)


@contextmanager
def cluster(cpus: int) -> Iterator[Cluster]:
    """A cluster of one node; one at a time on this machine, whoever tests."""
    assert "ray" not in sys.modules or os.environ.get("RAY_AUTH_TOKEN") == VARIABLES["RAY_AUTH_TOKEN"]
    os.environ.update(VARIABLES)
    with FileLock(Path(tempfile.gettempdir()) / f"ray-tests-{os.getuid()}.lock"):
        made = Cluster(cpus)
        try:
            yield made
        finally:
            made.close()
