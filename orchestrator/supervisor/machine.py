"""The machine that a sweep runs on, as its options describe it: checked before anything starts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator import devices, options
from orchestrator.devices import Resources
from orchestrator.errors import UserError
from orchestrator.launchers.ray import places
from orchestrator.search.spec import Spec
from orchestrator.search.trials import Trial
from orchestrator.supervisor.limits import Limits
from orchestrator.supervisor.options import MachineOptions
from orchestrator.text import counted

THREADS_AT_MOST = 8  # for each core: more is a mistake
RAY = "ray"  # the launcher whose machine is a cluster


@dataclass(frozen=True)
class Machine:
    """Where and for how long trials run."""

    launcher: str  # a name of orchestrator.launchers
    resources: Resources
    limits: Limits
    timeout: float | None = None  # seconds in which trials are started
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the launcher alone

    def share(self, sweeps: int) -> "Machine":
        """The same for one of several sweeps, which share the time."""
        return self if self.timeout is None else replace(self, timeout=self.timeout / sweeps)


def check(values: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a machine, with defaults for those not in ``values``; UserError for what no sweep can have.

    Torch is not waited for.
    """
    table = options.read(MachineOptions)
    given = options.given(table, values, "a sweep")
    chosen = options.complete(table, given)
    if chosen["launcher"] == RAY:
        places.check(chosen)
    else:
        devices.resolve(chosen["device"], chosen["workers"], 1)
        for name in ("ray_address", "cpus", "gpus", "per_gpu", "resources"):
            if name in given:  # RAY_ADDRESS may be set for other programs
                value = f"{given[name]:g}" if isinstance(given[name], float) else given[name]
                value = ",".join(value) if isinstance(value, list) else value
                raise UserError(f"{table[name].flag} {value} is of --launcher ray; add that, or leave it out")
        if (threads := chosen["threads"]) is not None and threads > (most := THREADS_AT_MOST * devices.cores()):
            raise UserError(
                f"--threads {threads}: there are {counted(devices.cores(), 'core')} here, and more than {THREADS_AT_MOST} "
                f"threads for each only slow a trial down; take at most {most}"
            )
    if chosen["workers"] == 0 and chosen["launcher"] not in (None, "inline", RAY):
        raise UserError(f"--workers 0 runs trials in this process; leave it out with --launcher {chosen['launcher']}")
    return chosen


def check_elsewhere(values: Mapping[str, Any]) -> None:
    """UserError for options that no cluster can follow; what this machine has does not matter."""
    table = options.read(MachineOptions)
    places.check_values(options.complete(table, options.given(table, values, "a sweep")))


def check_memory(machine: Machine, trials: Iterable[Trial]) -> None:
    """UserError where a trial of the sweep has needed more of a GPU's memory than each of several on one would have."""
    share = machine.settings.get("gpus") or 1.0
    most = max((stay.gpu_memory for trial in trials for stay in trial.stays), default=0.0)
    if share < 1 and most > share:
        raise UserError(
            f"a trial of this sweep has had {most:.0%} of its GPU's memory, so {int(1 / share + 1e-6)} on each do not fit; "
            f"take --per-gpu {int(1 / most)}"
        )


def machine(spec: Spec, values: Mapping[str, Any]) -> Machine:
    """The machine for a sweep, from MachineOptions; UserError for a value that cannot be."""
    chosen = check(values)
    together = spec.load_study().together  # trials that one process runs at the same time
    workers, launcher = chosen["workers"], chosen["launcher"] or ("inline" if together > 1 else "local")
    if workers == 0:
        launcher, workers = "inline", 1
    if launcher == "inline" and spec.deterministic:
        workers = 1
    threads = chosen["threads"]
    settings: dict[str, Any] = {}
    if launcher == RAY:
        resources, settings = places.resolve(chosen, spec.trials, spec.cache_folder)
    else:
        count = workers or (together if together > 1 else None)
        resources = devices.resolve(chosen["device"], count, spec.trials, threads)
    if spec.deterministic:  # sums depend on how they are divided among threads
        if threads not in (None, 1):
            raise UserError(f"--deterministic computes with one thread; leave out --threads {threads}")
        resources = replace(resources, threads=1)
    elif launcher == "inline":  # one trial computes at a time
        resources = replace(resources, threads=threads or devices.wanted_threads() or devices.cores())
    limits = Limits(
        checkpoint=chosen["checkpoint_every"],
        silence=chosen["heartbeat_timeout"] or None,
        trial=chosen["trial_timeout"],
        deaths=chosen["max_worker_deaths"],
    )
    return Machine(launcher, resources, limits, chosen["timeout"], settings)
