"""The estimate of a plan, without a process of its own for each."""

from models.parts.training import workload
from orchestrator.search.spec import Spec
from orchestrator.supervisor.machine import Machine


def timed_here(spec: Spec, machine: Machine) -> float | None:
    """Seconds of a trial, timed without a process of its own, which would import torch for each plan."""
    study = spec.load_study()
    if "cpu" not in machine.resources.devices[0] or study.workload is None:
        return None
    build, config = study.workload, study.config.model_validate(spec.base)
    return workload.seconds(lambda: build(config, spec.image_shape), "cpu")
