"""The trainer of energy-based models: its loss, its events, resuming, and how it notices that it is lost."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from models.data import dataset as datasets
from models.ebm import evaluation, networks, training
from models.ebm.chains import KERNELS, chains
from models.ebm.config import BOUNDS, Config
from models.ebm.variant import UNCONDITIONAL
from models.env import Env
from models.events import Checkpoint, Diverged, Event, Images, Scalars, Weights
from models.parts.training.batches import Batches
from models.parts.training.energy_loss import contrastive_divergence
from samplers import starts
from samplers.kernel import standard_normal
from tests.support import optimisation
from tests.support.playing import finished, gone_on

SMALL = {"blocks": 1, "width": 4, "n_steps": 10, "evaluation_samples": 32, "evaluations": 2, "buffer_size": 100}


def config(**changes: Any) -> Config:
    return Config.model_validate(SMALL | {"network_evaluations": 12 * 20} | changes)


def test_loss_by_hand() -> None:
    """E⁺ = (1, 3), E⁻ = (0, −2), α = 0.5: gap 2 − (−1) = 3, squares 0.5 · (5 + 2) = 3.5."""
    loss, gap = contrastive_divergence(torch.tensor([1.0, 3.0]), torch.tensor([0.0, -2.0]), 0.5)
    assert (loss.item(), gap.item()) == (6.5, 3.0)
    loss, gap = contrastive_divergence(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0, -2.0]), 0.5, "below_zero")
    assert (loss.item(), gap.item()) == (pytest.approx(2 + 0.5 * (5 + 4 / 3)), 2.0)


@pytest.mark.parametrize(("penalised", "push"), [("all", 0.0), ("below_zero", -1.0)])
def test_a_sample_at_half_of_one_over_alpha_is_pushed_away_only_where_its_square_does_not_count(
    penalised: Any, push: float
) -> None:
    energy = torch.tensor([1 / (2 * 0.1)], requires_grad=True)
    contrastive_divergence(torch.zeros(1), energy, 0.1, penalised)[0].backward()
    assert energy.grad is not None and energy.grad.item() == pytest.approx(push)


def test_a_network_that_is_never_fooled_settles_where_it_is_watched_for() -> None:
    """Minimising the loss in free E± gives α(E⁺ − E⁻) = −1, whatever α: the ground of the "pinned" rule."""
    for alpha in (0.01, 1.0):
        energies = torch.zeros(2, requires_grad=True)
        optimizer = torch.optim.SGD([energies], lr=0.25 / alpha)

        for _ in range(400):
            loss, _ = contrastive_divergence(energies[:1], energies[1:], alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert alpha * (energies[0] - energies[1]).item() == pytest.approx(-1, abs=1e-3)


@pytest.mark.parametrize("changes", [{}, {"noised": "both", "n_chains": 16, "penalised_samples": "below_zero"}])
def test_updates_by_hand(changes: dict[str, Any], env: Env) -> None:
    """Three updates from noise: chains, two energies, the loss, a gradient cut to its largest norm, and Adam."""
    settings = config(start="noise", **changes)
    data = datasets.load("digits", env.data_folder)
    learner = training.EnergyLearner(settings, env, data, None, UNCONDITIONAL)  # type: ignore[arg-type]
    net, alpha = copy.deepcopy(learner.network), settings.energy_regularisation
    adam = torch.optim.Adam(net.parameters(), settings.learning_rate, betas=(0.0, 0.999))
    real, generator = Batches.of(data.train, 64, env.generator("batches")), env.generator("chains")
    for index in range(3):
        images, _ = real.draw()
        on_data = images + settings.data_noise * standard_normal(images, real.generator)
        begin = starts.uniform(settings.n_chains or 64, data.shape, BOUNDS, generator)
        samples, _ = chains(settings, net, env, begin, settings.n_steps, generator)
        if settings.noised == "both":
            samples = samples + settings.data_noise * standard_normal(samples, real.generator)
        of_data, of_samples = net(on_data), net(samples)
        squared = of_samples if settings.penalised_samples == "all" else of_samples.clamp(max=0)
        loss = of_data.mean() - of_samples.mean() + alpha * ((of_data**2).mean() + (squared**2).mean())
        (norm,) = optimisation.step(adam, [(loss, net)], settings.parameter_grad_clip)
        measured = learner.update(index).measure()
        assert measured["loss"] == pytest.approx(loss.item(), rel=1e-3, abs=1e-5)
        assert measured["training/gradient_norm"] == pytest.approx(norm, rel=1e-3)
    for weight, expected in zip(learner.network.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"start": "noise"},
        {"start": "replay"},
        {"noised": "both", "n_chains": 16},
        {"start": "noise", "objective": "denoising_score", "network_evaluations": 3 * 20},
    ],
)
def test_a_resumed_training_equals_an_uninterrupted_one(changes: dict[str, Any], env: Env) -> None:
    """Every number and picture after the interruption is the same, and so are the weights, to the last bit."""
    whole, half = config(**changes), 7
    straight, resumed = gone_on(lambda state: training.train(whole, env, state), half)
    told = [event for event in straight if isinstance(event, Scalars) and event.step > half]
    again = [event for event in resumed if isinstance(event, Scalars) and event.step > half]
    assert len(told) == whole.updates - half + 1 and told == again  # one more for the evaluation
    last, last_again = ([e for e in events if isinstance(e, Checkpoint)][-1].state() for events in (straight, resumed))
    for name in ("network", "average"):
        for key, weight in last[name].items():
            assert torch.equal(weight, last_again[name][key])


def test_the_same_seed_gives_the_same_training_and_another_seed_another(env: Env, cache_folder: Path) -> None:
    def losses(env: Env) -> list[float]:
        short = config(network_evaluations=12 * 8)
        return [e.values["loss"] for e in training.train(short, env) if isinstance(e, Scalars) and "loss" in e.values]

    first = losses(env)
    assert first == losses(env)
    assert first != losses(Env("digits", seed=4, cache_folder=cache_folder))


def test_no_torch_context_is_open_across_a_yield_and_no_global_randomness_is_used(env: Env) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()

    def closed(event: Event) -> None:
        assert torch.is_grad_enabled() and not torch.is_autocast_enabled()

    result = finished(training.train(config(network_evaluations=12 * 8), env), closed)
    for _ in evaluation.report(result, env):
        assert torch.is_grad_enabled()
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_reported_at_the_end_stands_beside_its_anchors(env: Env) -> None:
    import studies

    values: dict[str, float] = {}
    pictures: list[str] = []
    weights = None
    for event in studies.load("ebm").play(config(), env):
        if isinstance(event, Scalars):
            values |= event.values
        elif isinstance(event, Images):
            pictures.append(event.key)
            assert event.images.abs().max() <= 1
        elif isinstance(event, Weights):
            weights = event.state
    assert {"fid/fresh", "fid/replay", "fid/real", "fid/start", "fid/noise", "fid/mixture"} <= set(values)
    assert all(math.isfinite(value) for value in values.values())
    assert values["fid/real"] < 0.1 * values["fid/noise"], "real images score far better than noise"
    assert values["fid/mixture"] < 0.5 * values["fid/noise"], "Gaussians of the data are nearer to it"
    assert values["fid/start"] == pytest.approx(values["fid/noise"], rel=0.2), "chains start from such noise"
    assert {"ood_auroc/train", "ood_auroc/fresh", "ood_auroc/noise", "ood_auroc/shuffled", "ood_auroc/blank"} <= set(
        values
    )
    assert abs(values["ood_auroc/train"] - 0.5) < 0.25, "32 images of each split: five standard errors"
    assert pictures.count("samples/replay") == 2, "of the evaluation during training and of the report"
    assert pictures.count("samples/fresh") == 3 and "samples/nearest_training" in pictures
    network = networks.network(config(), (1, 8, 8))
    assert weights is not None
    network.load_state_dict(dict(weights))


def test_the_textbook_rule_at_temperature_one_is_named_as_lost(env: Env) -> None:
    """a = ε²/2, s = ε with ε = 0.1: such chains stay noise, so the network is never fooled, and says so early."""
    hot = config(rule="textbook", noise_start=0.1, learning_rate=1e-2, energy_regularisation=1.0)
    hot = hot.model_copy(update={"network_evaluations": 12 * 400})
    with pytest.raises(Diverged) as caught:
        list(training.train(hot, env))
    assert caught.value.reason == "pinned"
    assert caught.value.step < hot.updates


def test_a_non_finite_energy_is_named(env: Env) -> None:
    wild = config(learning_rate=1e30, energy_regularisation=0.0)
    with pytest.raises(Diverged) as caught:
        list(training.train(wild, env))
    assert caught.value.reason in ("non_finite", "energy_out_of_bounds")


@pytest.mark.parametrize("sampler", KERNELS)
def test_sampling_leaves_the_weights_trainable_and_without_gradient(env: Env, sampler: str) -> None:
    network = networks.network(config(), (1, 8, 8))
    with networks.frozen(network):
        chains(config(sampler=sampler), network, env, torch.zeros(2, 1, 8, 8), 10, torch.Generator().manual_seed(0))
        assert not any(weight.requires_grad for weight in network.parameters())
    assert all(weight.requires_grad and weight.grad is None for weight in network.parameters())


def test_coupled_steps_follow_the_noise_at_the_same_mean_and_one_temperature() -> None:
    falling = config(coupled=True, schedule="geometric", noise_start=0.1, noise_end=0.01)
    step_size, noise = falling.schedules(10)
    steps = [step_size(k) for k in range(10)]
    assert sum(steps) / 10 == pytest.approx(falling.step_size)
    assert [noise(k) ** 2 / step for k, step in enumerate(steps)] == pytest.approx([noise(0) ** 2 / steps[0]] * 10)
    assert falling.reach == pytest.approx(config().reach)


def test_the_textbook_rule_drives_step_and_noise_by_one_schedule() -> None:
    eps = [0.3 * (0.01 / 0.3) ** (t / 10) for t in range(1, 11)]
    step_size, noise = config(rule="textbook", noise_start=0.3, noise_end=0.01, schedule="geometric").schedules(10)
    assert [noise(k) for k in range(10)] == pytest.approx(eps)
    assert [step_size(k) for k in range(10)] == pytest.approx([e**2 / 2 for e in eps])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_size": 0.5}, "cannot cross the data range"),
        ({"coupled": True, "noise_start": 0.0}, "coupled needs noise_start above 0"),
        ({"schedule": "geometric", "noise_end": 0.0}, "linear can reach 0"),
        ({"rule": "textbook", "sampler": "mala"}, "take sampler=langevin, not mala"),
        ({"rule": "textbook", "noise_start": 0.0}, "chains with ε = 0 do not move"),
        ({"buffer_size": 10}, "below the 64 chains of an update"),
        ({"n_chains": 65}, "above batch_size=64"),
        ({"fresh_share": 1.5}, "less than or equal to 1"),
        ({"learning_rate": "fast"}, "valid number"),
        ({"depth": 3}, "not permitted"),
        ({"noise_start": float("nan")}, "finite"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**changes)


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_nine_blocks_for_colour_images_make_one_update(
    precision: str, cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size for 32×32 RGB, on images made up for it: one update, one short evaluation, in mixed precision as well."""
    import numpy as np

    import studies
    from models.parts.evaluation import judge

    monkeypatch.setitem(judge.TRAINING, 3, (2, 16))  # what such images look like to a judge is not the question here
    chance = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 60), ("test", 20)):
        arrays[f"x_{part}"] = chance.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(n) % 2
    np.savez(tmp_path / "colours.npz", **arrays)
    base = studies.load("ebm").base((3, 32, 32))
    assert base.blocks == 9 and base.precision == "auto"
    small = base.model_copy(update={"network_evaluations": 1, "n_steps": 2, "width": 4, "evaluation_samples": 16})
    small = small.model_copy(update={"batch_size": 4, "n_chains": 2, "buffer_size": 8, "evaluation_length": 1})
    small = small.model_copy(update={"precision": precision})
    events = list(training.train(small, Env(f"npz:{tmp_path / 'colours.npz'}", cache_folder=cache_folder)))
    losses = [event.values["loss"] for event in events if isinstance(event, Scalars) and "loss" in event.values]
    assert len(losses) == 1 and math.isfinite(losses[0])
