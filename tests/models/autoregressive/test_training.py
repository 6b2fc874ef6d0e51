"""Training: the optimum of a convex model, resuming, endings with a name, budgets, and what data are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.autoregressive import training
from models.autoregressive.config import BayesNetConfig, Config, ImageGPTConfig
from models.autoregressive.divergence import DivergenceMonitor
from models.autoregressive.networks import check, nats_by_place
from models.autoregressive.references import independent_bits
from models.data import dataset as datasets
from models.data.dataset import Data, DataError, Split
from models.env import Env
from models.events import Checkpoint, Diverged, Event, Facts, Images, Scalars
from models.parts.evaluation.likelihood import bits
from tests.support.playing import finished, gone_on

SMALL = {"evaluation_samples": 32, "evaluations": 2, "updates": 12, "batch_size": 8}


def bayes_net(**changes: Any) -> BayesNetConfig:
    return BayesNetConfig.model_validate(SMALL | changes)


def image_gpt(**changes: Any) -> ImageGPTConfig:
    return ImageGPTConfig.model_validate(SMALL | {"width": 8, "layers": 2, "heads": 2} | changes)


@pytest.mark.parametrize("neighbours", [3, 15])
def test_a_linear_conditional_finds_the_optimum_of_logistic_regression(env: Env, neighbours: int) -> None:
    """scikit-learn's on the same table of parents: bits within a thousandth on the images that both learned from."""
    from sklearn.linear_model import LogisticRegression

    config = bayes_net(neighbours=neighbours, updates=600, batch_size=256, learning_rate=0.1)
    result = finished(training.train(config, env))
    net = result.network
    tokens = net.tokens.encode(result.data.train.floats())
    with torch.no_grad():
        table = net.parents(net.tokens.palette[tokens].view(-1, 8, 8)).transpose(1, 2).flatten(0, 1).double().numpy()
    truth = tokens.flatten().numpy()
    expected = LogisticRegression(C=1e6, max_iter=2_000).fit(table, truth)
    optimum = -float(np.log2(expected.predict_proba(table)[np.arange(len(truth)), truth]).mean())
    found = bits(float(nats_by_place(net, tokens).sum(1).mean()), (1, 8, 8))
    assert optimum - 1e-6 <= found < optimum + 1e-3
    with torch.no_grad():  # and with its weights the network has its probabilities
        net.weight.copy_(torch.from_numpy(expected.coef_))
        net.bias.copy_(torch.from_numpy(expected.intercept_)[:, None])
    assert bits(float(nats_by_place(net, tokens).sum(1).mean()), (1, 8, 8)) == pytest.approx(optimum, abs=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        bayes_net(cpd="mlp", position="own", deformation=0.1, weight_decay=0.01),
        image_gpt(dropout=0.2, classes=10, levels=4, palette="kmeans"),
    ],
    ids=["bayes_net", "image_gpt"],
)
def test_a_resumed_training_equals_an_uninterrupted_one(env: Env, config: Config) -> None:
    """Right after an evaluation, too."""
    for half in (6, 7):
        straight, resumed = gone_on(lambda state: training.train(config, env, state), half)

        def told(events: list[Event]) -> list[tuple[int, Any]]:
            return [(event.step, event.values) for event in events if isinstance(event, Scalars) and event.step > half]  # noqa: B023

        assert told(straight) == told(resumed) and told(straight)
        last, again = ([e for e in events if isinstance(e, Checkpoint)][-1].state() for events in (straight, resumed))
        for name, weight in last["network"].items():
            assert torch.equal(weight, again["network"][name])


def test_what_is_said_at_the_start_and_at_each_evaluation(env: Env) -> None:
    events: list[Event] = []
    finished(training.train(image_gpt(levels=17), env), events.append)
    facts = {key: value for event in events if isinstance(event, Facts) for key, value in event.values.items()}
    assert (facts["likelihood/kind"], facts["likelihood/of"]) == ("exact", "the images as they are")
    assert (facts["data/levels"], facts["tokens/vocabulary"], facts["tokens/places"]) == (17, 17, 64)
    assert facts["network/table_digits"] == len(str(17**64 - 1))
    steps = [e.step for e in events if isinstance(e, Scalars) and "likelihood/bits_per_dimension" in e.values]
    assert steps == [6]
    assert [e.step for e in events if isinstance(e, Images) and e.key == "samples/fresh"] == [0, 6]


def test_fewer_levels_than_the_data_are_said_to_be_rounded(env: Env) -> None:
    events: list[Event] = []
    finished(training.train(bayes_net(updates=1), env), events.append)
    facts = {key: value for event in events if isinstance(event, Facts) for key, value in event.values.items()}
    assert facts["likelihood/of"] == "images rounded to 2 levels"
    (distortion,) = [
        e.values["tokens/distortion"] for e in events if isinstance(e, Scalars) and "tokens/distortion" in e.values
    ]
    assert distortion > 0.01


def test_a_budget_in_operations_decides_the_updates_and_changes_no_number(env: Env) -> None:
    flops: list[Event] = []
    finished(training.train(image_gpt(), env), flops.append)
    (spent,) = [
        e.values["cost/training_flops"] for e in flops if isinstance(e, Scalars) and "cost/training_flops" in e.values
    ]
    again: list[Event] = []
    result = finished(training.train(image_gpt(flops=spent * 1.01, updates=1), env), again.append)
    assert result.step == 12

    def losses(events: list[Event]) -> list[float]:
        key = "loss/bits_per_dimension"
        return [e.values[key] for e in events if isinstance(e, Scalars) and key in e.values]

    assert losses(flops) == losses(again)


def test_bits_above_those_of_uniform_levels_end_a_training_by_name() -> None:
    monitor = DivergenceMonitor()
    for step in (401, 402):
        monitor = monitor.update(step, 1_000, {"loss/bits_per_dimension": 1.2}, 2)
    monitor.update(403, 1_000, {"loss/bits_per_dimension": 0.9}, 2)
    with pytest.raises(Diverged, match="1.200 bits per dimension, 2 equally likely levels have 1.000") as ending:
        monitor.update(403, 1_000, {"loss/bits_per_dimension": 1.2}, 2)
    assert ending.value.reason == "worse_than_uniform"
    for step in range(1, 250):  # at first everything is excused
        DivergenceMonitor(above_uniform=2).update(step, 1_000, {"loss/bits_per_dimension": 9.0}, 2)


def test_bits_above_those_of_independent_pixels_end_a_training_by_name() -> None:
    monitor = DivergenceMonitor().update_validation(400, 1_000, 0.4, 0.3)
    assert monitor.update_validation(500, 1_000, 0.2, 0.3) == DivergenceMonitor()
    with pytest.raises(Diverged, match="0.400 bits per dimension, independent pixels have 0.300") as ending:
        monitor.update_validation(500, 1_000, 0.4, 0.3)
    assert ending.value.reason == "worse_than_independent"
    DivergenceMonitor(above_independent=1).update_validation(200, 1_000, 0.4, 0.3)


def test_a_loss_that_is_not_finite_ends_a_training_by_name() -> None:
    for judge in (
        lambda: DivergenceMonitor().update(1, 10, {"loss/bits_per_dimension": float("nan")}, 2),
        lambda: DivergenceMonitor().update_validation(1, 10, float("inf"), 1.0),
    ):
        with pytest.raises(Diverged) as ending:
            judge()
        assert ending.value.reason == "non_finite"


@pytest.mark.slow
def test_a_learning_rate_that_is_far_too_large_ends_by_name(env: Env) -> None:
    with pytest.raises(Diverged) as ending:
        finished(training.train(image_gpt(learning_rate=30.0, updates=600, evaluations=8, levels=17), env))
    assert ending.value.reason in ("worse_than_uniform", "worse_than_independent")


def test_independent_pixels_by_hand() -> None:
    """Two places, levels 2: three of four training images white at the first, none at the second; each counted once more."""
    images = np.array([[255, 0], [255, 0], [255, 0], [0, 0]], np.uint8).reshape(4, 1, 1, 2)
    split = Split(images, np.zeros(4, np.int64))
    data = Data("npz:x", "x", split, Split(images[:1], np.zeros(1, np.int64)), split, ("0",), "")
    net = training.network(BayesNetConfig(), (1, 1, 2))
    assert independent_bits(net, data) == pytest.approx(-(np.log2(4 / 6) + np.log2(5 / 6)) / 2)


def test_data_that_a_network_cannot_write_are_refused_with_the_way_out() -> None:
    digits = datasets.load("digits", Path("data"))
    colours = Split(np.zeros((7, 3, 8, 8), np.uint8), np.zeros(7, np.int64))
    odd = Split(np.zeros((7, 1, 7, 8), np.uint8), np.zeros(7, np.int64))
    with pytest.raises(
        DataError, match="images in colour, and these models write grey ones; choose grey data, such as mnist"
    ):
        check(bayes_net(), Data("cifar10", "x", colours, colours, colours, ("0",), ""))
    with pytest.raises(DataError, match="7×8 do not divide into patches of 2×2; set patch=1"):
        check(image_gpt(patch=2), Data("npz:x", "x", odd, odd, odd, ("0",), ""))
    with pytest.raises(DataError, match="10 classes and classes=3; set classes=10"):
        check(image_gpt(classes=3), digits)
