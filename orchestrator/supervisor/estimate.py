"""How long a sweep will take, before it starts: its training as the study describes it, timed on this machine's devices."""

import math
import multiprocessing
import signal
from collections.abc import Iterable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from orchestrator.errors import UserError
from orchestrator.search import plan
from orchestrator.search.spec import Spec
from orchestrator.supervisor.machine import Machine
from orchestrator.text import about, counted

DAY = 24 * 3600.0  # seconds


def seconds(spec: Spec, machine: Machine) -> float | None:
    """Of a new sweep, were no trial pruned, without evaluations; None where the study cannot say.

    A time limit ends it when the trials that run then have ended.
    Passes of the network are timed in a process of their own: this one does not wait for torch.
    """
    if spec.load_study().workload is None:
        return None
    one_trial = _timed_elsewhere(spec, machine)
    if one_trial is None:
        return None
    limit = math.inf if machine.timeout is None else machine.timeout + one_trial
    return min(one_trial * math.ceil(spec.trials / machine.resources.slots), limit)


def sentence(spec: Spec, machine: Machine) -> str:
    """The same in words, for the plan."""
    if (expected := seconds(spec, machine)) is not None:
        return f"{about(expected)}, if no trial is pruned"
    if spec.load_study().workload is None:
        return "no estimate: the study does not say what a trial computes, by `workload` of `Study`"
    return "no estimate: a pass of the network could not be timed here"


def check(sweeps: Iterable[tuple[Spec, Machine]]) -> None:
    """UserError where these new sweeps, which run one after the other, need more than a day."""
    known = [(spec, expected) for spec, machine in sweeps if (expected := seconds(spec, machine)) is not None]
    total = sum(expected for _, expected in known)
    if total > DAY:
        number = "--seeds" if known[0][0].comparison else "--trials"
        trials = counted(sum(spec.trials for spec, _ in known))
        raise UserError(
            f"{' and '.join(spec.name for spec, _ in known)} would take {about(total)} on this machine for {trials}; "
            f"start with --yes (`mlflow run`: SWEEP_YES=1) if that is meant, or lower the budget of a trial by --set, or {number}"
        )


def timed(spec: Spec) -> dict[str, Any]:
    """The settings of the trial that is timed: the recipe with what is held, or the first arm of a comparison."""
    configs = plan.configs_of(spec.load_study(), spec.base, spec.comparison, spec.fixed)
    return next(iter(configs.values())).model_dump(mode="json")


def _timed_elsewhere(spec: Spec, machine: Machine) -> float | None:
    """Seconds of one trial; None where it cannot be timed, or the process that times it dies, as of too little memory."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    device, threads = machine.resources.devices[0], machine.resources.threads
    arguments = sender, spec.study_source, timed(spec), spec.image_shape, device, threads
    process = context.Process(target=_send_seconds, args=arguments, daemon=True)
    process.start()
    sender.close()
    try:
        one_trial: float | None = receiver.recv()
        return one_trial
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()


def _send_seconds(
    pipe: Connection, study: str, base: Mapping[str, Any], shape: tuple[int, ...], device: str, threads: int
) -> None:
    """In a process of its own: time a trial with the settings ``base``; None is sent where a pass of it fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to hear, which ends us
    import studies
    from models.parts.training import workload

    loaded = studies.load(study)
    build, config = loaded.workload, loaded.config.model_validate(dict(base))
    assert build is not None
    try:
        pipe.send(workload.seconds(lambda: build(config, shape), device, threads))
    except Exception:  # of too little memory, or of a study of the user's: trials say it better
        pipe.send(None)
