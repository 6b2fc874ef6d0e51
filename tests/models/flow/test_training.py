"""Training of flows: what it says, what a checkpoint holds, data that are refused, and endings by name."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

import studies
from models.data import dataset as datasets
from models.env import Env
from models.events import Diverged, Event, Facts, Scalars
from models.flow import evaluation, training
from models.flow.config import Config
from models.flow.divergence import DivergenceMonitor, check_inverse
from models.flow.strangers import SCORES
from models.parts.evaluation.quality import Quality
from tests.support.playing import finished, gone_on

SMALL = dict(studies.load("flow").smallest)
REPORT = {"likelihood/training_bits": 2.5, "training/gradient_norm": 1.0}


def config(**changes: Any) -> Config:
    return Config.model_validate(SMALL | changes)


def scalars(events: list[Event]) -> dict[str, float]:
    values: dict[str, float] = {}
    for event in events:
        values |= event.values if isinstance(event, Scalars) else {}
    return values


def test_events_of_a_training(env: Env) -> None:
    events = list[Event]()
    finished(studies.load("flow").play(config(labels=True), env), events.append)
    values = scalars(events)
    assert values["likelihood/bits_per_dimension_importance"] <= values["likelihood/bits_per_dimension"]
    assert values["flow/inverse_error"] < 1e-4
    kinds = {name.partition("/")[0] for name in values if name.startswith("ood_auroc")}
    assert kinds == {f"ood_auroc_{score}" for score in SCORES}
    facts = [event.values for event in events if isinstance(event, Facts)]
    assert {"likelihood/kind": "upper bound", "likelihood/levels": 17} in facts


def test_a_training_goes_on_from_a_checkpoint_bit_for_bit(env: Env) -> None:
    """Scales and shifts, which begin with data, begin once: the resumed training does not look at the data again."""
    told, again = gone_on(lambda state: training.train(config(mixing="checkerboard"), env, state), 7)
    first, second = (scalars(events) for events in (told, again))
    assert first == second and len(first) > 5


def test_labels_of_a_new_image_are_asked_for_in_turn(env: Env) -> None:
    settings = config(labels=True)
    weights = training.untrained(settings, datasets.load("digits", env.data_folder), env).state_dict()
    weights["top.mean"][3] = 100.0
    images = evaluation.sample(settings, env, weights, 20).images
    moved = (images - images[:1]).flatten(1).abs().mean(1)
    assert set(moved.topk(2).indices.tolist()) == {3, 13}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scales": 4}, "scales=4 halve images of 8×8 too often; use --set scales=3"),
        ({"scales": 6}, "scales=6 halve images of 8×8 too often; use --set scales=3"),
        ({"scales": 6, "mixing": "checkerboard"}, "halve images of 8×8 too often; use --set scales=4"),
        ({"levels": 256}, "levels=256 and 'digits' has 17, so bits would count levels .* use --set levels=17"),
        ({"labels": True, "classes": 7}, "classes=7 and 'digits' has 10; use --set classes=10"),
    ],
)
def test_what_does_not_fit_the_images_is_refused(env: Env, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(datasets.DataError, match=words):
        training.check(config(**changes), datasets.load("digits", env.data_folder))


@pytest.mark.parametrize("scales", [1, 3])
def test_the_way_out_for_images_that_cannot_be_halved_is_a_flow_of_them(env: Env, scales: int) -> None:
    digits = datasets.load("digits", env.data_folder)
    splits = {
        name: datasets.Split(split.images[:, :, :5, :6], split.labels)
        for name, split in (("train", digits.train), ("validation", digits.validation), ("test", digits.test))
    }
    data = replace(digits, **splits)
    with pytest.raises(datasets.DataError, match="5×6 cannot be halved; use --set mixing=checkerboard,scales=1"):
        training.check(config(scales=scales), data)
    settings = config(mixing="checkerboard", scales=1)
    training.check(settings, data)
    assert training.untrained(settings, data, env)(torch.zeros(2, 1, 5, 6)).shape == (2, 1, 5, 6)


def test_more_bits_than_uniform_pixels_end_a_training_after_three_reports() -> None:
    uniform = 4.0875  # log₂ 17
    monitor = DivergenceMonitor()
    bad = REPORT | {"likelihood/training_bits": uniform + 0.01}
    for step in (1_100, 1_110):
        monitor = monitor.update(step, 1_500, bad, 17)
    assert monitor.update(1_120, 1_500, REPORT, 17) == DivergenceMonitor()
    with pytest.raises(Diverged, match="worse_than_uniform"):
        monitor.update(1_120, 1_500, bad, 17)
    assert DivergenceMonitor().update(10, 1_500, bad, 17) == DivergenceMonitor(), "too early"
    with pytest.raises(Diverged, match="non_finite"):
        DivergenceMonitor().update(10, 1_500, REPORT | {"likelihood/training_bits": float("nan")}, 17)


def test_a_rate_of_learning_of_nothing_ends_as_worse_than_uniform(env: Env) -> None:
    """Without scales from data a flow begins far from them, and stays there."""
    settings = config(normalise="none", mixing="reverse", learning_rate=1e-9, updates=300, evaluations=1)
    with pytest.raises(Diverged, match="worse_than_uniform"):
        finished(training.train(settings, env))


def test_scales_without_a_bound_end_as_not_invertible(env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    settings = config(scale="exp")
    learner = training.FlowLearner(settings, env, data, finished(Quality.obtain(data, env, 16)))
    coupling = next(block for block in learner.network.modules() if hasattr(block, "conditioner"))
    with torch.no_grad():
        coupling.conditioner[-1].convolution.bias -= 60.0  # type: ignore[index,union-attr,operator]
    with pytest.raises(Diverged, match="not_invertible"):
        finished(partial(evaluation.evaluate, learner.result(1), env)())


@pytest.mark.parametrize("error", [0.02, float("inf"), float("nan")])
def test_pixels_that_do_not_come_back_end_a_training_by_name(error: float) -> None:
    check_inverse(5, 0.009)
    with pytest.raises(Diverged, match="not_invertible at step 5"):
        check_inverse(5, error)
