"""Machines of their own on this one, by namespaces: each has its network, processes, host name and small disk.

Nothing is shared by accident; the cable to this machine can be pulled, and the power cut.
"""

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.support.processes import wait_for, wait_until_gone

REFUSAL = "this machine gives no namespaces, by which a node would be a machine of its own; run it as root, with `ip`"
_numbers = itertools.count(1)


def available() -> bool:
    """Whether such machines can be made here."""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter", "mount"))):
        return False
    try:
        Machine().close()
    except (AssertionError, subprocess.CalledProcessError):
        return False
    return True


class Machine:
    """A machine; its network has this one and itself."""

    def __init__(self, hidden: Sequence[Path] = (), disk: Path | None = None, megabytes: int = 64) -> None:
        """The folders ``hidden`` are empty there; ``disk`` is a folder with a disk of its own, so large."""
        number, self.disk = next(_numbers), disk
        self.name = f"machine-{number}"
        self.switch, self.cable = (f"{end}{os.getpid() % 10**6}n{number}" for end in ("net", "cab"))
        net = f"10.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
        self.here, self.address = f"{net}.{4 * number + 1}", f"{net}.{4 * number + 2}"
        mounts = [f"mount -t tmpfs none {folder}" for folder in hidden]
        if disk is not None:
            disk.mkdir(mode=0o700, parents=True, exist_ok=True)
            mounts.append(f"mount -t tmpfs -o size={megabytes}m,mode=700 none {disk}")
        begin = " && ".join([f"hostname {self.name}", *mounts, "exec sleep infinity"])
        own = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--mount-proc"]
        self.power = subprocess.Popen([*own, "sh", "-c", begin], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: self._first() or self.power.poll() is not None)
            assert self.power.poll() is None, "no namespaces"
            self.first = self._first()
            _ip("link", "add", self.switch, "type", "bridge")
            _ip("addr", "add", f"{self.here}/30", "dev", self.switch)
            _ip("link", "set", self.switch, "up")
            _ip("link", "add", self.cable, "type", "veth", "peer", "name", "cable", "netns", str(self.first))
            _ip("link", "set", self.cable, "up")
            self.plug()
            inside = ["link set lo up", f"addr add {self.address}/30 dev cable", "link set cable up"]
            for words in [*inside, f"route add default via {self.here}"]:
                subprocess.run([*self.enter(), "ip", *words.split()], check=True, capture_output=True)
        except BaseException:
            self.close()
            raise

    def _first(self) -> int:
        """Its first process, as this machine numbers it; 0 before that runs."""
        children = psutil.Process(self.power.pid).children() if self.power.poll() is None else []
        return next((child.pid for child in children if child.name() == "sleep"), 0)

    def enter(self, folder: Path = Path("/tmp")) -> list[str]:
        """What a command begins with that runs there, in ``folder``."""
        return ["nsenter", "--target", str(self.first), "--net", "--pid", "--mount", "--uts", f"--wdns={folder}"]

    def pull(self) -> None:
        """Pull the cable out of the switch: no packet arrives any more, and nobody is told."""
        _ip("link", "set", self.cable, "nomaster")

    def plug(self) -> None:
        """Put it in, or back."""
        _ip("link", "set", self.cable, "master", self.switch)

    def close(self) -> None:
        """Cut the power: all that runs there ends at once."""
        first = [psutil.Process(self.power.pid)] if self.power.poll() is None else []
        there = first[0].children() if first else []
        for process in there:
            process.send_signal(signal.SIGKILL)
        self.power.kill()
        self.power.wait()
        wait_until_gone(there)
        for end in (self.cable, self.switch):
            subprocess.run(["ip", "link", "del", end], capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
