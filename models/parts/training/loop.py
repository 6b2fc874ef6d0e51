"""The training loop that all families share: learning rates, reports, divergence, evaluations, checkpoints.

A family writes a ``Learner``: its state, one update, its divergence monitor and its evaluations. The loop turns it into events.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from torch import Tensor
from torch.optim import Optimizer

from models.events import Checkpoint, Diverged, Event, Images, Progress, Scalars
from models.parts.training import checkpoint
from models.parts.training.checkpoint import Part
from models.parts.training.cost import counted
from models.parts.training.optimisation import WARMUP, learning_rate, set_learning_rate
from models.parts.training.reporting import finite, is_report_step, milestones

STAGE = "training"
SHOWN = 64  # images that are kept when training diverges
COUNTED = 4  # the update after this part of training is the one whose operations are counted: first ones may be unusual


class LearningRate(NamedTuple):
    """An optimizer and its schedule: up to ``largest`` over ``warmup`` updates, then down to a twentieth by a cosine."""

    optimizer: Optimizer
    largest: float
    warmup: int = WARMUP


class Evaluation(NamedTuple):
    """An evaluation that runs after each but the last of ``times`` equal parts of training: ``run(step)``."""

    times: int
    run: Callable[[int], Iterator[Event] | Generator[Event, None, None]]


class Outcome(NamedTuple):
    """The outcome of an update. The loop calls ``measure`` only at report steps, directly after the update."""

    samples: Tensor | None  # images, kept when training diverges
    measure: Callable[[], Mapping[str, float]]


class Learner(Protocol):
    """What a family gives to the loop. A step is the number of updates so far."""

    @property
    def updates(self) -> int:
        """Updates of the whole training."""

    @property
    def parts(self) -> Mapping[str, Part]:
        """Modules, optimizers and random generators whose states a checkpoint holds, by name."""

    @property
    def learning_rates(self) -> Sequence[LearningRate]:
        """The schedule of each optimizer."""

    @property
    def evaluations(self) -> Sequence[Evaluation]:
        """Evaluations during training. Where two fall on one step, only the first runs."""

    def extra_state(self) -> Mapping[str, Any]:
        """State beside the parts: nested dicts and lists of tensors, numbers and strings."""

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the extra state from that of a whole checkpoint."""

    def introduce(self) -> Iterator[Event]:
        """Events before the first update. A resumed training does not repeat them."""

    def update(self, index: int) -> Outcome:
        """Run update number ``index``, from 0. Learning rates are set already."""

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        """Judge a report; raises Diverged where training cannot recover."""


def run(learner: Learner, resume: Mapping[str, Any] | None) -> Generator[Event, None, None]:
    """Train from the start, or from the checkpoint state ``resume``. Raises Diverged."""
    if resume is None:
        first = 0
        yield from learner.introduce()
        yield Progress(STAGE, 0, learner.updates)
    else:
        first = resume["update"]
        checkpoint.restore(learner.parts, resume)
        learner.load_extra_state(resume)
    updates = learner.updates
    evaluations = [(milestones(updates, evaluation.times), evaluation.run) for evaluation in learner.evaluations]
    for index in range(first, updates):
        for optimizer, largest, warmup in learner.learning_rates:
            set_learning_rate(optimizer, learning_rate(largest, index, updates, warmup))
        step = index + 1
        if index == updates // COUNTED:
            outcome, flops = counted(partial(learner.update, index))
            yield Scalars(step, {"cost/training_flops": float(flops * updates)})
        else:
            outcome = learner.update(index)
        if is_report_step(step, updates):
            yield from _report(learner, outcome, step)
        evaluate = next((evaluate for steps, evaluate in evaluations if step in steps), None)
        if evaluate is not None:
            yield from evaluate(step)
            yield Progress(STAGE, step, updates)
        yield Checkpoint(step, partial(_state, learner, step))


def _report(learner: Learner, outcome: Outcome, step: int) -> Iterator[Event]:
    measurements = outcome.measure()
    yield Scalars(step, finite(measurements))
    try:
        learner.check_divergence(step, measurements)
    except Diverged:
        if outcome.samples is not None:  # they show how training was lost
            yield Images(step, "samples/training", outcome.samples[:SHOWN])
        raise
    yield Progress(STAGE, step, learner.updates)


def _state(learner: Learner, step: int) -> dict[str, Any]:
    return checkpoint.state(step, learner.parts, **learner.extra_state())
