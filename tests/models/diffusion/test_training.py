"""Diffusion models: the U-Net, what a training says, endings by name, guidance."""

import math
from typing import Any

import pytest
import torch

import studies
from models.data import dataset as datasets
from models.diffusion import drawing, evaluation, networks, training
from models.diffusion.config import Config
from models.diffusion.divergence import DivergenceMonitor
from models.env import Env
from models.events import Diverged, Event, Images, Scalars
from models.parts.evaluation.quality import Quality
from samplers import noise
from tests.support.playing import finished

SMALL = studies.load("diffusion").smallest
REPORT = {"loss": 0.1, "training/gradient_norm": 1.0}


def config(**changes: Any) -> Config:
    return Config.model_validate({**SMALL, **changes})


def awake(network: networks.Diffusion) -> networks.Diffusion:
    """With random numbers in the layers that begin at 0."""
    generator = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return network.requires_grad_(False)


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ((1, 8, 8), {}),
        ((1, 13, 21), {"levels": 3, "blocks": 2}),
        ((3, 32, 32), {"patch": 4, "levels": 1}),
        ((1, 28, 28), {"patch": 2, "labels": True}),
    ],
)
def test_any_size_of_image_keeps_its_size_and_an_untrained_network_says_nothing(
    shape: tuple[int, int, int], changes: dict[str, Any]
) -> None:
    network = networks.network(config(**changes), shape)
    x, times = torch.randn(3, *shape), torch.tensor([1, 10, 20])
    assert torch.equal(network.unet(x, times), torch.zeros_like(x)), "the last layer begins at 0"
    awake(network)
    assert network.unet(x, times).shape == x.shape
    each = torch.cat([network.unet(x[i : i + 1], times[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(each, network.unet(x, times), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(network.unet(x, times), network.unet(x, times.flip(0)), atol=1e-3), "time is told"


def test_embeddings_of_all_times_differ() -> None:
    embedded = networks.time_embedding(torch.arange(1, 1_001), 16)
    distances = torch.cdist(embedded, embedded) + torch.eye(1_000) * 9
    assert float(distances.min()) > 1e-3


def test_the_order_of_heads_changes_nothing_and_torchs_attention_gives_the_same() -> None:
    block = networks.Attention(12, 3)
    for weight in block.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    x = torch.randn(2, 12, 3, 5)
    expected = block(x)
    block.attention.fast = False
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
    order = torch.tensor([2, 0, 1])
    rows = torch.arange(36).view(3, 3, 4)[:, order].flatten()
    block.attention.inputs.weight.data = block.attention.inputs.weight[rows].clone()
    block.attention.inputs.bias.data = block.attention.inputs.bias[rows].clone()
    columns = torch.arange(12).view(3, 4)[order].flatten()
    block.attention.output.weight.data = block.attention.output.weight[:, columns].clone()
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_the_kept_network_is_told_times_by_a_channel() -> None:
    network = awake(networks.network(config(), (1, 8, 8)))
    x, times = torch.randn(4, 1, 8, 8), torch.tensor([1, 5, 20, 7])
    packed = torch.cat([x, times.view(-1, 1, 1, 1).expand(4, 1, 8, 8).float()], 1)
    assert packed.shape[1:] == networks.takes(config(), (1, 8, 8))
    torch.testing.assert_close(network(packed), network.clean(x, times).clamp(-1, 1))


def test_a_denoiser_says_of_each_image_what_the_network_says_of_it_with_its_label() -> None:
    network = awake(networks.network(config(labels=True), (1, 8, 8)))
    x, labels = torch.randn(130, 1, 8, 8), torch.arange(130) % 10
    told = network.denoiser(labels)(x, 7)
    torch.testing.assert_close(told[129:], network.clean(x[129:], torch.tensor([7]), labels[129:]))
    untold = network.denoiser()(x, 7)
    torch.testing.assert_close(untold[:1], network.clean(x[:1], torch.tensor([7]), torch.tensor([10])))
    guided = drawing.guided_denoiser(network, 2.0, labels)(x, 7)
    torch.testing.assert_close(guided, 3 * told - 2 * untold, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(told, untold)


def test_events_of_a_training(env: Env) -> None:
    events = list[Event]()
    finished(studies.load("diffusion").play(config(labels=True, guidance=1.0), env), events.append)
    values: dict[str, float] = {}
    for event in events:
        values |= event.values if isinstance(event, Scalars) else {}
    assert values["cost/network_evaluations"] == 2 * SMALL["steps"], "guidance takes two"
    assert values["likelihood/bits_per_dimension"] == pytest.approx(
        sum(values[f"likelihood/bits_{part}"] for part in ("last", "steps", "first")), rel=1e-5
    )
    assert values["fid/raw"] != values["fid/fresh"]
    assert {"classes/read_as_asked", "noise_error/6", "ood_auroc/noise", "classes/entropy_real"} <= values.keys()
    pictures = {event.key for event in events if isinstance(event, Images)}
    assert {"samples/trajectory", "samples/forward", "samples/steps", "samples/guidance", "samples/classes"} <= pictures


def test_new_images_are_of_the_same_noise_at_every_evaluation(env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    settings = config(sampler="ddpm")
    learner = training.DiffusionLearner(settings, env, data, finished(Quality.obtain(data, env, 16)))
    first, again = (evaluation.fresh(learner.result(step), learner.average, env) for step in (1, 2))
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 21}, "steps=21 is more than timesteps=20"),
        ({"heads": 3}, "16 channels do not divide into heads=3"),
        ({"guidance": 1.0}, "guidance needs a network that knows labels"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 3}, "patch=3 does not divide images of 8×8; use --set patch=1"),
        ({"levels": 5}, "levels=5 halve images of 8×8 too often"),
        ({"labels": True, "classes": 7}, "classes=7 and 'digits' has 10; use --set classes=10"),
    ],
)
def test_data_that_do_not_fit_are_refused(changes: dict[str, Any], message: str, env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    with pytest.raises(datasets.DataError, match=message):
        training.check(config(**changes), data)
    training.check(config(labels=True), data)


def test_a_lost_training_ends_by_name() -> None:
    monitor = DivergenceMonitor()
    with pytest.raises(Diverged, match="non_finite"):
        monitor.update(1, 1_000, REPORT | {"loss": math.nan})
    for step in range(10, 400, 10):
        monitor = monitor.update(step, 1_000, REPORT)
    for step in (400, 410):
        monitor = monitor.update(step, 1_000, REPORT | {"training/gradient_norm": 101.0})
    assert monitor.update(420, 1_000, REPORT).exploding == 0
    with pytest.raises(Diverged, match="exploding_gradient"):
        monitor.update(420, 1_000, REPORT | {"training/gradient_norm": 101.0})


def test_images_of_one_class_end_a_training_as_collapse_however_legible_they_are() -> None:
    values = {"classes/entropy": 0.1, "classes/entropy_real": 2.3, "legibility/share": 1.0}
    assert DivergenceMonitor().update_classes(100, 1_000, values).collapsed == 0, "too early"
    monitor = DivergenceMonitor().update_classes(400, 1_000, values)
    assert monitor.update_classes(600, 1_000, values | {"classes/entropy": 2.0}).collapsed == 0
    with pytest.raises(Diverged, match="collapse"):
        monitor.update_classes(600, 1_000, values)


@pytest.mark.parametrize("prediction", ["epsilon", "v", "clean"])
def test_by_each_prediction_a_network_learns_to_see_an_image_in_noise(prediction: str) -> None:
    generator, image = torch.Generator().manual_seed(0), torch.zeros(1, 1, 8, 8)
    image[..., 2:6, 3:5] = 1.0
    settings = config(prediction=prediction, weight="simple")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = networks.network(settings, (1, 8, 8))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    scale, labels = training.weights(settings, network.schedule), torch.zeros(16, dtype=torch.long)
    for _ in range(80):
        optimizer.zero_grad()
        batch = image.expand(16, 1, 8, 8)
        training.loss(settings, network, scale, batch, labels, generator).mean().backward()
        optimizer.step()
    drawn = drawing.standard_noise(8, (1, 8, 8), generator)
    seen = network.denoiser()(noise.noised(image.expand(8, 1, 8, 8), drawn, network.schedule.at(8)), 8)
    assert float((seen - image).abs().mean()) < 0.15


def test_a_trajectory_begins_with_noise_and_ends_with_the_drawn_images() -> None:
    network, settings = awake(networks.network(config(), (1, 8, 8))), config()
    start = drawing.standard_noise(2, (1, 8, 8), torch.Generator().manual_seed(0))
    path = list(drawing.trajectory(network, settings, start, torch.Generator()))
    assert len(path) == settings.steps + 1 and torch.equal(path[0][0], start)
    assert torch.equal(path[-1][0].clamp(-1, 1), drawing.draw(network, settings, start, torch.Generator()))
    assert noise.times("uniform", network.schedule, 4) == [20, 15, 10, 5, 0]
