"""Which devices a sweep runs on, and how the processor's threads are divided."""

import ctypes
import itertools
import os
import re
import sys
from dataclasses import dataclass

from orchestrator.errors import UserError


@dataclass(frozen=True)
class Resources:
    """A device for each worker, and threads for each."""

    devices: tuple[str, ...]
    threads: int

    @property
    def slots(self) -> int:
        """How many trials run at a time."""
        return len(self.devices)


def cores() -> int:
    """Processor cores that this process may use: by its affinity, its container's quota and its batch system."""
    from joblib import cpu_count  # loky's, which knows affinity and quota

    return min(int(cpu_count()), _whole("SLURM_CPUS_PER_TASK") or sys.maxsize)


def wanted_threads() -> int | None:
    """Threads of a process as OMP_NUM_THREADS says; None where it says nothing."""
    return _whole("OMP_NUM_THREADS")


def _whole(variable: str) -> int | None:
    """A positive number in the environment: the first, where there is one for each level of nested threads."""
    first = os.environ.get(variable, "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def resolve(device: str, workers: int | None, trials: int, threads: int | None = None) -> Resources:
    """The devices for ``workers`` on ``device``: auto, cpu, cuda, mps, or some of cuda:0,cuda:1 …; UserError if absent.

    By default there is a worker for each GPU, or as many as there are cores for, up to four; never more than ``trials``.
    Each has ``threads``, or as many as OMP_NUM_THREADS says, or its share of the cores.
    """
    devices = _devices(device)
    threads = threads or wanted_threads()
    count = workers or (len(devices) if devices[0] != "cpu" else min(max(1, cores() // (threads or 1)), 4))
    count = min(count, trials)
    share = max(1, cores() // count)
    return Resources(tuple(itertools.islice(itertools.cycle(devices), count)), threads or share)


def _devices(device: str) -> list[str]:
    gpus, more = _accelerators()
    there = ["cpu", *gpus, *more]
    if device == "auto":
        return gpus or ["cpu"]
    if device == "cuda" and gpus:
        return gpus
    names = [part.strip() for part in device.split(",")]
    for name in names:
        if name not in there:
            what = "no such device here" if re.fullmatch(r"cpu|mps|cuda(:\d+)?", name) else "no device"
            raise UserError(f"--device {name}: {what}; there are: auto, {', '.join(there)}")
    return names


def _accelerators() -> tuple[list[str], list[str]]:
    """The GPUs of CUDA that are here, and what there is besides. Torch is asked only where there may be one at all."""
    if "torch" not in sys.modules and not _driver():
        return [], []
    import torch

    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return gpus, ["mps"] if torch.backends.mps.is_available() else []


def _driver() -> bool:
    """Whether this machine may have a GPU: the library of NVIDIA's driver loads, AMD's driver is there, or it is a Mac."""
    if sys.platform == "darwin" or os.path.exists("/dev/kfd"):
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
