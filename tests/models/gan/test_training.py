"""Losses and penalties against values worked by hand; what a training says; collapse has a name; bad files are refused."""

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Curve, Diverged, Event, Facts, Images, Matrix, Scalars, Weights
from models.gan import evaluation, losses, networks, training
from models.gan.conditioning import class_loss, conditions, generator_input, hidden_loss, values
from models.gan.config import RECIPES, Config
from models.gan.divergence import DivergenceMonitor
from models.gan.evaluation import generation_inputs
from models.gan.measurements import diversity
from models.gan.networks import Critic, Generator, binarised, straight_through
from orchestrator.figures import canvas
from orchestrator.figures import events as drawing
from studies.gan import STUDY

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 5, 6)]
SMALL: dict[str, Any] = {
    "width": 8,
    "latent_size": 16,
    "evaluation_samples": 200,
    "evaluations": 2,
    "network_evaluations": 1_500,
    "generator_learning_rate": 2e-3,
    "critic_learning_rate": 2e-3,
}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_losses_are_what_the_papers_have() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])

    def of_critic(**config: Any) -> float:
        return float(losses.critic_loss(Config(**config), real, fake))

    def of_generator(**config: Any) -> float:
        return float(losses.generator_loss(Config(**config), fake))

    log_real = [-math.log(sigmoid(2)), -math.log(sigmoid(-1))]
    log_fake = [-math.log(1 - sigmoid(0.5)), -math.log(1 - sigmoid(-3))]
    assert of_critic(loss="bce") == pytest.approx(sum(log_real) / 2 + sum(log_fake) / 2, rel=1e-5)
    smooth = [-0.9 * math.log(sigmoid(x)) - 0.1 * math.log(1 - sigmoid(x)) for x in (2, -1)]
    assert of_critic(loss="bce", label_smoothing=0.1) == pytest.approx(sum(smooth) / 2 + sum(log_fake) / 2, rel=1e-5)
    assert of_generator(loss="bce") == pytest.approx((-math.log(sigmoid(0.5)) - math.log(sigmoid(-3))) / 2, rel=1e-5)
    assert of_critic(loss="hinge") == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    for loss in ("wgan", "wgan_gp"):
        assert of_critic(loss=loss) == pytest.approx(-1.25 - 0.5)
    for loss in ("hinge", "wgan", "wgan_gp"):
        assert of_generator(loss=loss) == pytest.approx(1.25)


class Linear(nn.Module):
    """D(x) = w · x: its gradient is w everywhere."""

    def __init__(self, weight: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight


def test_the_penalty_of_a_linear_critic_is_known() -> None:
    critic, x = Linear([3.0, 4.0, 0.0, 0.0]), torch.randn(7, 1, 2, 2)
    assert losses.gradient_norms(critic, x).tolist() == pytest.approx([5.0] * 7)
    found = losses.penalty(critic, x)
    assert found.item() == pytest.approx(16.0)
    found.backward()
    assert critic.weight.grad is not None
    assert critic.weight.grad.tolist() == pytest.approx([2 * 4 * 3 / 5, 2 * 4 * 4 / 5, 0, 0], abs=1e-5)


def test_the_penalty_at_real_images_of_a_linear_critic_is_known() -> None:
    critic = Linear([3.0, 4.0, 0.0, 0.0])
    found = losses.zero_penalty(critic, torch.randn(7, 1, 2, 2))
    assert found.item() == pytest.approx(12.5)
    found.backward()
    assert critic.weight.grad is not None and critic.weight.grad.tolist() == pytest.approx([3, 4, 0, 0])


def test_what_is_told_of_classes() -> None:
    z, logits, labels = torch.tensor([[0.5, -2.0]]), torch.tensor([[1.0, 2.0, -3.0]]), torch.tensor([1])
    none, critic = Config(labels="none", classes=2), Config(labels="critic", classes=3)
    clusters = Config(labels="clusters", clusters=2)
    both = Config(labels="both", classes=2)
    assert generator_input(none, z, labels).tolist() == generator_input(critic, z, labels).tolist() == [[0.5, -2.0]]
    assert generator_input(both, z, labels).tolist() == [[0.5, -2.0, 0.0, 1.0]]
    assert generator_input(clusters, z, labels).tolist() == [[0.5, -2.0, 0.0, 1.0]]
    assert values(clusters, logits, labels).tolist() == pytest.approx([1.0 - 3.0])
    assert class_loss(clusters, logits, labels) == class_loss(both, logits, labels)
    assert values(none, logits[:, :1], labels).tolist() == pytest.approx([1.0])
    mean = (math.exp(1) + math.exp(2) + math.exp(-3)) / 3
    assert values(critic, logits, labels).tolist() == pytest.approx([math.log(mean)])
    assert values(both, logits, labels).tolist() == pytest.approx([1.0 - 3.0])
    assert class_loss(none, logits, labels) == 0
    assert class_loss(critic, logits, labels).item() == pytest.approx(math.log(3 * mean) - 2, rel=1e-5)
    assert class_loss(both, logits, labels).item() == pytest.approx(math.log(math.exp(2) + math.exp(-3)) + 3, rel=1e-5)


def test_a_hidden_class_is_chosen_by_chance_and_read_by_the_critic() -> None:
    config, nothing = Config(hidden_classes=2), Config()
    labels, logits = torch.zeros(1_000, dtype=torch.long), torch.tensor([[5.0, 2.0, -3.0]])
    asked = conditions(config, labels, torch.Generator().manual_seed(0))
    assert 400 < asked.sum() < 600
    assert conditions(nothing, labels, torch.Generator()) is labels
    assert generator_input(config, torch.zeros(1_000, 3), asked).shape == (1_000, 5)
    assert values(config, logits, torch.tensor([1])).tolist() == [5.0]
    assert class_loss(config, logits, torch.tensor([1])) == 0, "real images have no hidden class"
    expected = math.log(math.exp(2) + math.exp(-3)) + 3
    assert hidden_loss(config, logits, torch.tensor([1])).item() == pytest.approx(expected, rel=1e-5)
    assert hidden_loss(nothing, logits[:, :1], torch.tensor([1])) == 0


def test_equalised_weights_are_in_units_of_one_over_the_root_of_the_inputs_and_centred_filters_ignore_grey() -> None:
    critic = Critic(Config(loss="wgan", width=4), (1, 28, 28)).requires_grad_(False)
    losses.clip(critic, 1.0)
    for layer in critic.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = layer.weight[0].numel() ** -0.5
            assert layer.bias is not None and float(layer.bias.abs().max()) <= bound
            if isinstance(layer, nn.Linear):
                assert float(layer.weight.abs().max()) <= bound
            else:
                torch.testing.assert_close(
                    layer.weight.sum((1, 2, 3)), torch.zeros(layer.out_channels), atol=1e-5, rtol=0
                )
    first = critic.body[0]
    inner = first(torch.full((1, 1, 28, 28), 0.7))[:, :, 2:-2, 2:-2]
    assert float((inner - first.bias[:, None, None]).abs().max()) < 1e-5


def test_clipping_keeps_every_parameter_and_counts_those_at_the_bound() -> None:
    critic = Critic(Config(loss="wgan", width=4, equalised=False), (1, 8, 8)).requires_grad_(False)
    before = [weight.clone() for weight in critic.parameters()]
    losses.clip(critic, 0.01)
    for weight, earlier in zip(critic.parameters(), before, strict=True):
        torch.testing.assert_close(weight, earlier.clamp(-0.01, 0.01))
    assert max(float(weight.abs().max()) for weight in critic.parameters()) == pytest.approx(0.01)
    flat = torch.cat([weight.flatten() for weight in critic.parameters()])
    assert losses.share_at_clip(critic, 0.01) == pytest.approx(float((flat.abs() > 0.0099).float().mean()))
    assert losses.share_at_clip(Linear([0.01, -0.01, 0.005, 0.0]), 0.01) == 0.5


def test_binary_images_pass_gradients_as_if_they_were_not() -> None:
    x = torch.tensor([-0.7, 0.1, 0.9], requires_grad=True)
    y = straight_through(x)
    assert y.tolist() == binarised(x).tolist() == [-1, 1, 1]
    (y * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("labels", ["none", "clusters", "critic", "both"])
@pytest.mark.parametrize("loss", RECIPES)
def test_networks_fit_images_of_any_size(loss: Any, labels: Any, shape: tuple[int, int, int]) -> None:
    config = Config(loss=loss, labels=labels, classes=3, clusters=3, width=4, latent_size=5).resolved()
    generator, critic = Generator(config, shape), Critic(config, shape)
    of = torch.tensor([2, 0, 1])
    images = generator(generator_input(config, torch.randn(3, 5), of))
    assert images.shape == (3, *shape) and images.dtype == torch.float32 and images.abs().max() <= 1
    assert critic(images, of).shape == (3,)
    norms = [layer for layer in critic.modules() if isinstance(layer, nn.BatchNorm2d)]
    halved_once = min(shape[1:]) <= 8
    assert bool(norms) == (RECIPES[loss]["critic_norm"] == "batch" and not halved_once)


def test_mixed_precision_draws_almost_the_same() -> None:
    noise, drawn = torch.randn(64, 100), []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        drawn.append(Generator(Config(width=8, precision=precision), (1, 28, 28))(noise))  # type: ignore[arg-type]
    assert 0 < (drawn[0] - drawn[1]).abs().max() < 0.02


def test_spectral_normalisation_bounds_the_last_layer() -> None:
    critic = Critic(Config(loss="hinge", width=4), (1, 8, 8))
    for _ in range(50):
        critic(torch.randn(2, 1, 8, 8), torch.zeros(2, dtype=torch.long))
    assert isinstance(critic.head, nn.Linear)
    assert torch.linalg.matrix_norm(critic.head.weight, 2).item() == pytest.approx(1.0, rel=1e-3)


def test_the_budget_pays_for_long_phases_too() -> None:
    config = Config(loss="wgan", n_critic=2, long_phase=10, network_evaluations=25 * 31 + 475 * 7 + 31 + 7)
    assert config.updates == 25 + 475 + 1 + 1
    assert [config.critic_updates(update) for update in (0, 24, 25, 499, 500, 501)] == [10, 10, 2, 2, 10, 2]
    assert config.model_copy(update={"network_evaluations": config.network_evaluations - 1}).updates == 501
    assert Config(loss="bce", network_evaluations=100).updates == 20
    assert Config(loss="bce", zero_penalty=0, network_evaluations=100).updates == 25
    assert Config(loss="bce", zero_penalty_every=4, network_evaluations=5 + 3 * 4 + 5).updates == 5
    assert Config(loss="wgan_gp", n_critic=5, network_evaluations=52).updates == 2


def test_what_is_not_said_is_what_the_loss_s_authors_have() -> None:
    assert Config(loss="wgan").resolved().optimizer == "rmsprop"
    said = Config(loss="wgan", optimizer="adam", n_critic=2).resolved()
    assert (said.optimizer, said.n_critic, said.centred) == ("adam", 2, True)
    with pytest.raises(ValidationError, match="set critic_norm=none"):
        Config(loss="wgan_gp", critic_norm="batch")
    with pytest.raises(ValidationError, match="zero_penalty is of each image alone"):
        Config(loss="bce", critic_norm="batch")
    assert Config(loss="bce", critic_norm="batch", zero_penalty=0).resolved().zero_penalty == 0


def test_diversity_is_a_ratio_to_real_images_and_of_equal_ones_it_is_none() -> None:
    images = torch.rand(8, 1, 4, 4)
    assert diversity(images / 4, images) == pytest.approx(0.25)
    assert diversity(images, torch.zeros(8, 1, 4, 4)) == 1.0, "nothing is divided by their distance, which is 0"


def reported(diversity: float = 0.5, of_critic: float = 0.1, of_generator: float = 5.0) -> dict[str, float]:
    return {"loss/critic": of_critic, "loss/generator": of_generator, "training/diversity": diversity}


def test_collapse_and_losses_that_are_not_finite_have_names() -> None:
    """Of 1,000 updates the first 250 are excused."""
    monitor = DivergenceMonitor()
    for step in (301, 302):
        monitor = monitor.update(step, 1000, reported(0.1))
    assert monitor.update(303, 1000, reported(0.9)).alike == 0, "it has recovered"
    assert monitor.update(250, 1000, reported(0.1)).alike == 0, "too early to say"
    with pytest.raises(Diverged, match="mode_collapse at step 303: two generated images differ 0.10 times"):
        monitor.update(303, 1000, reported(0.1))
    with pytest.raises(Diverged, match="non_finite"):
        DivergenceMonitor().update(1, 1000, reported(of_critic=math.nan))
    with pytest.raises(Diverged, match="loss_out_of_bounds"):
        DivergenceMonitor().update(1, 1000, reported(of_generator=-1e7))
    scores = {"classes/entropy": 0.9, "classes/entropy_real": 2.3}
    few = DivergenceMonitor().update_classes(400, 1000, scores)
    with pytest.raises(
        Diverged, match="mode_collapse at step 500: the entropy of classes is 0.90 nats, of real images 2.30"
    ):
        few.update_classes(500, 1000, scores)


def played(cache_folder: Path, **config: Any) -> list[Event]:
    env = Env("digits", 0, cache_folder=cache_folder)
    return list(STUDY.play(Config(**SMALL | config), env))


def said(events: list[Event]) -> dict[str, float]:
    return {key: value for event in events if isinstance(event, Scalars) for key, value in event.values.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    ("bce", "wgan_gp", *(pytest.param(loss, marks=pytest.mark.long) for loss in ("minimax", "kl", "hinge", "wgan"))),
)
def test_every_loss_learns_to_draw_digits(loss: str, cache_folder: Path) -> None:
    """Far better than an untrained generator, and all that belongs to a report is there."""
    budget = {"wgan": 6_000, "wgan_gp": 4_000}.get(loss, 2_000)
    rate = 5e-3 if loss == "wgan" else 2e-3  # fewer updates of the generator ask for larger ones
    rates = {"generator_learning_rate": rate, "critic_learning_rate": rate}
    events = played(cache_folder, loss=loss, network_evaluations=budget, **rates)
    found = said(events)
    assert found["fid/generated"] < 0.5 * found["fid/untrained"]
    assert found["fid/real"] < found["fid/generated"] < found["fid/noise"]
    assert found["classes/entropy"] > 0.5 * found["classes/entropy_real"]
    assert 0 <= found["legibility/share"] <= 1 and 0 <= found["critic/auroc"] <= 1
    assert ("critic/at_clip" in found) == (loss == "wgan")
    assert ("calibration/error" in found) == (loss in ("bce", "minimax", "jensen_shannon"))
    assert found["training/network_evaluations"] <= budget
    pictures = {event.key for event in events if isinstance(event, Images | Curve | Matrix)}
    assert pictures >= {"samples/generated", "samples/interpolation", "samples/nearest_training", "fid/over_epochs"}
    assert pictures >= {"classes/shares", "critic/weights"}
    (weights,) = [event for event in events if isinstance(event, Weights)]
    networks.network(Config(**SMALL), (1, 8, 8)).load_state_dict(dict(weights.state))
    assert any("recipe/n_critic" in event.values for event in events if isinstance(event, Facts))


def test_new_images_are_drawn_from_weights_alone(cache_folder: Path) -> None:
    config = Config(**SMALL, binary=True)
    weights = networks.network(config, (1, 8, 8)).state_dict()
    found = evaluation.draw(config, Env("digits", 0, cache_folder=cache_folder), weights, 5)
    assert found.images.shape == (5, 1, 8, 8) and set(found.images.unique().tolist()) <= {-1.0, 1.0}


def test_classes_to_draw_are_as_frequent_as_in_training() -> None:
    data, env = datasets.load("digits", Path("data")), Env("digits", 3)
    noise = generation_inputs(Config(labels="both", latent_size=5), data, env, 20_000, "evaluation")
    assert noise.shape == (20_000, 15) and bool((noise[:, 5:].sum(1) == 1).all())
    shares = torch.bincount(data.train.labels, minlength=10) / len(data.train)
    assert noise[:, 5:].mean(0).tolist() == pytest.approx(shares.tolist(), abs=0.01)
    assert torch.equal(noise, generation_inputs(Config(labels="both", latent_size=5), data, env, 20_000, "evaluation"))


def test_classes_without_room_are_refused(cache_folder: Path) -> None:
    with pytest.raises(ValueError, match="digits has 10 classes and classes=3; say --set classes=10"):
        played(cache_folder, labels="critic", classes=3)


def test_inception_is_refused_where_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inception_weights=.*none.pth: there is no such file; give"):
        training.check(Config(inception_weights=str(tmp_path / "none.pth")), datasets.load("digits", tmp_path))


@pytest.mark.long
def test_the_recipe_draws_legible_persian_digits_of_all_classes(cache_folder: Path, tmp_path: Path) -> None:
    """What the recipe is for. The pictures lie in the test's folder: look at them."""
    env = Env("persian", 0, data_folder=tmp_path, cache_folder=cache_folder)
    events = []
    for event in STUDY.play(STUDY.base((1, 28, 28)), env):
        events.append(event)
        if isinstance(event, Images | Curve | Matrix):
            picture = canvas.png(drawing.draw(event))
            (tmp_path / f"{event.key.replace('/', '-')}.png").write_bytes(picture)
        elif isinstance(event, Scalars):
            with (tmp_path / "said.jsonl").open("a") as file:
                print(json.dumps({"step": event.step, "seconds": time.process_time(), **event.values}), file=file)
    found = said(events)
    assert found["classes/entropy"] >= 0.9 * math.log(10)
    assert found["legibility/share"] >= 0.95
    assert found["fid/generated"] <= 3 * found["fid/real"]
