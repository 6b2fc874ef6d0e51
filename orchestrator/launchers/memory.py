"""Memory of this machine: what a worker holds of it, and what is free for another one."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

CONTROL_GROUPS = "sys/fs/cgroup"  # version 2, where there is one group


class Held(NamedTuple):
    """Bytes that would be free if a worker ended: not those that it shares with the server that it was forked from."""

    now: int
    most: int  # since it began


def held(worker: psutil.Process) -> Held | None:
    """What a process holds, with all that it started; None where that cannot be told."""
    now = most = 0
    try:
        for process in [worker, *worker.children(recursive=True)]:
            memory = process.memory_full_info()
            now += memory.uss
            most += max(memory.uss, _peak(process.pid) - (memory.rss - memory.uss))
    except (psutil.Error, OSError):
        return None
    return Held(now, most)


def _peak(process: int) -> int:
    """The most resident bytes of a process so far, shared ones among them; 0 where the system does not tell."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def free(system: Path = Path("/")) -> int:
    """Bytes that new processes may take: of the machine, and of the container or the job that we are in."""
    least = int(psutil.virtual_memory().available)
    with suppress(OSError):
        for line in (system / "proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                group, root = system / CONTROL_GROUPS / line[4:], system / CONTROL_GROUPS
                for place in (group, *group.parents):
                    least = min(least, _left(place, least))
                    if place == root:
                        break
    return max(0, least)


def _left(group: Path, otherwise: int) -> int:
    """What the limit of a control group leaves; files that it has read are given up when memory is wanted."""
    try:
        limit, used = int((group / "memory.max").read_text()), int((group / "memory.current").read_text())
        lines = [line.split() for line in (group / "memory.stat").read_text().splitlines()]
        files = sum(int(number) for name, number in lines if name in ("inactive_file", "active_file"))
    except (OSError, ValueError):  # no such file, or "max", which is no limit
        return otherwise
    return limit - used + files
