"""The Ray cluster: one that is named, or one of this machine that ends with the sweep. Checked before anything starts."""

import os
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from orchestrator import devices
from orchestrator.errors import UserError
from orchestrator.launchers.ray import probe
from orchestrator.launchers.ray.library import MODE, TOKEN, handlers_kept, library, quiet, reason
from orchestrator.text import counted

ANSWER_SECONDS = 5.0  # that a cluster's address may take to answer
PROBE_SECONDS = 60.0  # that nodes may take to say what they have installed
FOLDER = "sweep-ray-"  # begins the name of a cluster's own folder


@dataclass(frozen=True)
class Wanted:
    """What each trial gets, and where."""

    address: str = ""  # '': a cluster of this machine alone
    cpus: float = 1.0
    gpus: float = 0.0
    custom: Mapping[str, float] = field(default_factory=dict)  # what nodes were started with by names of their own

    @property
    def parts(self) -> dict[str, float]:
        """Each resource by the name that Ray has for it."""
        return {name: want for name, want in {"CPU": self.cpus, "GPU": self.gpus, **self.custom}.items() if want}

    @property
    def text(self) -> str:
        """In words."""
        return " and ".join(counted_resource(want, name) for name, want in self.parts.items())

    def fits(self, resources: Mapping[str, float]) -> int:
        """How many trials fit into the resources of a node."""
        shares = [resources.get(name, 0.0) / want for name, want in self.parts.items()]
        return int(min(shares) + 1e-6) if shares else 0


def counted_resource(number: float, word: str) -> str:
    """As "1 CPU", "0.5 GPU", "2 GPUs", "2 licence"."""
    return f"{number:g} {word}{'s' if word in ('CPU', 'GPU') and (number > 1 or not number) else ''}"


class Cluster:
    """A connection to a cluster. Ray has one for each process."""

    def __init__(self, address: str, folder: Path | None) -> None:
        """``folder`` is the one that the cluster was made in, where it is ours."""
        self.address, self.folder = address, folder
        self.checked = False  # what its nodes have installed

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that are there."""
        return [node for node in library().nodes() if node["Alive"]]

    def places(self, wanted: Wanted) -> int:
        """How many trials fit at a time, whoever else computes there."""
        leaving = self.leaving()
        return sum(wanted.fits(node["Resources"]) for node in self.nodes() if node["NodeID"] not in leaving)

    def leaving(self) -> set[str]:
        """The nodes that are being taken away: by an autoscaler, or by SIGTERM to `ray start --block`."""
        from ray._private import state  # `ray.nodes` does not say it

        return set(state.state.get_draining_nodes())

    def alive(self, node_id: str) -> bool:
        """Whether Ray still counts the node as there."""
        return any(node["NodeID"] == node_id for node in self.nodes())

    def check(self, wanted: Wanted) -> None:
        """UserError where no node has what a trial wants, or a node has other versions than this machine."""
        nodes = self.nodes()
        if not any(wanted.fits(node["Resources"]) for node in nodes):
            has = [node["Resources"] for node in nodes]
            most = " and ".join(
                counted_resource(max((resources.get(name, 0.0) for resources in has), default=0.0), name)
                for name in dict.fromkeys(["CPU", "GPU", *wanted.custom])
            )
            options = ["--cpus", "--gpus", *["--resources"] * bool(wanted.custom)]
            raise UserError(
                f"no node of the cluster at {self.address} has {wanted.text} for a trial: the most are {most} on one of "
                f"{counted(len(nodes), 'node')}; lower {', '.join(options[:-1])} or {options[-1]}, or add a node"
            )
        if not self.checked:
            self._check_versions(nodes)
            self.checked = True

    def _check_versions(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        ray = library()
        here = probe.look()
        ray.cloudpickle.register_pickle_by_value(probe)
        try:
            look = ray.remote(probe.look)
            strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
            asked = [
                look.options(
                    num_cpus=0, scheduling_strategy=strategy(node["NodeID"], soft=False), max_retries=0
                ).remote()
                for node in nodes
            ]
            answers = []
            for node, answer in zip(nodes, asked, strict=True):
                try:
                    answers.append(ray.get(answer, timeout=PROBE_SECONDS))
                except ray.exceptions.RayError as error:
                    if not self.alive(node["NodeID"]):  # it was lost just before, and Ray had not noticed yet
                        continue
                    raise UserError(
                        f"a node of the cluster at {self.address} does not answer ({reason(error)}); see `ray status`"
                    ) from None
        finally:
            ray.cloudpickle.unregister_pickle_by_value(probe)
        for there in answers:
            for what in ("Python", "Ray"):
                if there[what] != here[what]:
                    raise UserError(
                        f"node {there['node']} has {what} {there[what]}, and this machine has {here[what]}; "
                        "install the same on both"
                    )
            if there["package"] != here["package"]:
                what = "another version of generative-sweeps" if there["package"] else "no generative-sweeps"
                raise UserError(
                    f"node {there['node']} has {what}; install there what is installed here, and start it anew"
                )

    def close(self) -> None:
        """Leave it; end it where it is ours."""
        global _cluster
        library().shutdown()
        _cluster = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


_cluster: Cluster | None = None


def connect(wanted: Wanted) -> Cluster:
    """The cluster at an address, checked; UserError, one sentence, where that cannot be."""
    cluster = _join(wanted.address)
    try:
        cluster.check(wanted)
    except BaseException:
        cluster.close()
        raise
    return cluster


def gpus(address: str) -> float:
    """How many GPUs the best node of the cluster has."""
    return max((node["Resources"].get("GPU", 0.0) for node in _join(address).nodes()), default=0.0)


def _join(address: str) -> Cluster:
    global _cluster
    ray = library()
    if _cluster is not None and _cluster.address == address:
        return _cluster
    _leave_earlier(ray)
    check_address(address)
    try:
        with handlers_kept(), quiet() as printed:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except Exception as error:  # of Ray and of what it stands on, by no common name
        raise _refusal(address, error, printed[0]) from None
    _cluster = Cluster(address, None)
    return _cluster


def start(wanted: Wanted, slots: int) -> Cluster:
    """A cluster of this machine, with a folder, ports and a token of its own; it ends with this process."""
    global _cluster
    ray = library(own=True)
    _leave_earlier(ray)
    folder = _folder()
    try:
        with handlers_kept(), quiet():
            ray.init(
                address="local",
                num_cpus=max(devices.cores(), -(-int(wanted.cpus * slots * 1000) // 1000)),
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
                _temp_dir=str(folder),
            )
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(f"Ray could not be started on this machine ({reason(error)}); see that /tmp has room") from None
    _cluster = Cluster("this machine", folder)
    return _cluster


def _folder() -> Path:
    """A folder for this cluster, with a short path as sockets want it. What killed processes left is removed."""
    for left in Path("/tmp").glob(f"{FOLDER}*"):
        number = left.name.removeprefix(FOLDER).partition("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)) and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir="/tmp"))


def _leave_earlier(ray: ModuleType) -> None:
    """Ray has one connection for each process. UserError where it is somebody else's."""
    if _cluster is not None:
        _cluster.close()
    if ray.is_initialized():
        raise UserError("this process is connected to a Ray cluster already; call ray.shutdown() before the sweep")


def check_address(address: str) -> None:
    """UserError where nobody listens there: Ray itself would wait for a minute."""
    if "://" in address:
        raise UserError(
            f"--ray-address {address}: give HOST:PORT of the cluster's head, and run this on one of its nodes; "
            "`ray start --address HOST:PORT` makes this machine one"
        )
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"--ray-address {address}: give HOST:PORT, as `ray start --head` prints it, or auto")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"--ray-address {address}: nobody answers there ({error.strerror or error}); start the head with "
            f"`ray start --head --port {port}`, or leave the option out for a cluster of this machine alone"
        ) from None


def _refusal(address: str, error: Exception, printed: str) -> UserError:
    text = f"{error}\n{printed}"
    if "InvalidAuthToken" in text or "Unauthenticated" in text or "uthentication" in text:
        return UserError(
            f"the cluster at {address} wants another token; set {MODE}=token, and {TOKEN} to the one that its head was "
            "started with"
        )
    if "ersion mismatch" in text:
        parts = " ".join(text.split())
        return UserError(
            f"the cluster at {address} has other versions ({parts[:300]}); install the same on all machines"
        )
    if "node" in text and ("raylet" in text or "node_ip_address" in text or "connect to" in text):
        return UserError(
            f"this machine is no node of the cluster at {address} ({reason(error)}); make it one: ray start --address {address}"
        )
    return UserError(
        f"the cluster at {address} cannot be joined ({reason(error)}); see `ray status --address {address}`"
    )
