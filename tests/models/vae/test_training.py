"""Variational and plain autoencoders: what a bound depends on, fitted priors, endings by name, heads and attacks."""

from dataclasses import replace
from typing import Any

import pytest
import torch

import studies
from models.data import dataset as datasets
from models.data.dataset import Split
from models.env import Env
from models.events import Curve, Diverged, Event, Scalars
from models.parts.evaluation import likelihood
from models.parts.evaluation.attacks import fgsm, pgd
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.vae import evaluation, networks, training
from models.vae.bound import terms
from models.vae.config import Config
from models.vae.divergence import DivergenceMonitor, References
from models.vae.prior import FITTED_PRIORS, FittedPrior, Mixture
from models.vae.robustness import _Head
from tests.support.playing import finished

SMALL = {**studies.load("vae").smallest, "updates": 40}
REPORT = {
    "loss": 90.0,
    "loss/squared_error": 0.1,
    "likelihood/training_nats": -40.0,
    "likelihood/training_bits": 2.0,
    "latent/kl": 9.0,
}
REFERENCES = References(mean_image_error=0.3, independent_bits=3.0)


def config(**changes: Any) -> Config:
    return Config.model_validate(SMALL | changes)


def test_the_bound_of_an_image_does_not_depend_on_its_batch(env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    network = networks.network(config(), data.shape)
    pixels = evaluation.pixels_of(data.validation.floats()[:8], 17, env.generator("cells"))
    with torch.no_grad():
        posterior = network.posterior(pixels.images)
        whole = terms(network, posterior, posterior.mean, pixels, env.generator("z")).bound
        first = type(pixels)(*(part[:1] for part in pixels[:3]), 17)
        posterior = network.posterior(first.images)
        alone = terms(network, posterior, posterior.mean, first, env.generator("z")).bound
    assert torch.allclose(alone, whole[:1], rtol=1e-5)


def test_without_kl_the_loss_is_that_of_an_autoencoder_with_noise(env: Env) -> None:
    """β = 0, no free nats: the gradient is that of the reconstruction alone."""
    data = datasets.load("digits", env.data_folder)
    settings = config(beta=0.0, free_nats=0.0, annealing=0.0)
    learner = training.AutoencoderLearner(settings, env, data, finished(Quality.obtain(data, env, 16)))
    values = learner.update(0).measure()
    assert values["loss"] == pytest.approx(values["loss/reconstruction"])
    assert values["latent/kl"] > 0


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ((1, 13, 13), {}),
        ((3, 5, 60), {}),
        ((1, 8, 8), {"stochastic_layers": 2}),
        ((1, 28, 28), {"likelihood": "gaussian"}),
    ],
)
def test_any_size_of_image_is_given_back_in_its_size(shape: tuple[int, int, int], changes: dict[str, Any]) -> None:
    network = networks.network(config(**changes), shape)
    images = torch.rand(3, *shape) * 2 - 1
    assert network(network.codes(images)).shape == images.shape
    assert network.codes(images).shape == (3, SMALL["latent_size"])


def test_a_mixture_has_the_moments_of_the_codes_that_it_was_fitted_to() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.cat(
        [
            torch.randn(500, 2, generator=generator) + centre
            for centre in (torch.tensor([4.0, 0]), torch.tensor([-4.0, 2]))
        ]
    )
    mixture = Mixture(2, 2)
    mixture.fit(codes, 0)
    samples = mixture.draw(20_000, generator)
    assert torch.allclose(samples.mean(0), codes.mean(0), atol=0.15)
    assert torch.allclose(samples.T.cov(), codes.T.cov(), atol=0.4)
    assert (samples[:, 0].abs() > 1.5).float().mean() > 0.97, "two groups, and nothing between them"
    mixture.fit(codes[:3], 0)
    assert mixture.draw(5, generator).isfinite().all(), "of three codes, one Gaussian"


def test_events_of_a_training_and_the_prior_that_fid_fresh_is_of(env: Env) -> None:
    events = list[Event]()
    finished(studies.load("vae").play(config(), env), events.append)
    values: dict[str, float] = {}
    for event in events:
        values |= event.values if isinstance(event, Scalars) else {}
    assert values["fid/fresh"] == values["fid/fitted_prior"] != values["fid/prior"]
    assert values["likelihood/bits_per_dimension_200"] <= values["likelihood/bits_per_dimension_1"]
    assert values["latent/active"] <= SMALL["latent_size"]
    assert {"accuracy/test", "adversarial/fgsm", "adversarial/pgd", "ood_auroc/noise"} <= values.keys()


def test_a_plain_autoencoder_has_no_prior_and_no_likelihood(env: Env) -> None:
    events = list[Event]()
    finished(studies.load("vae").play(config(latent="none"), env), events.append)
    names = {name for event in events if isinstance(event, Scalars) for name in event.values}
    assert "fid/fitted_prior" in names and not {"fid/prior", "latent/kl"} & names
    assert not [name for name in names if name.startswith(("likelihood/bits", "ood"))]


@pytest.mark.parametrize("changes", [{}, {"latent": "none"}, {"stochastic_layers": 2}])
def test_a_traversal_has_a_row_for_each_dimension_and_the_seed_chooses_the_image(
    changes: dict[str, Any], env: Env
) -> None:
    settings = config(latent_size=3, **changes)
    weights = networks.network(settings, (1, 8, 8)).state_dict()
    first, again, other = (evaluation.traverse(settings, replace(env, seed=seed), weights) for seed in (0, 0, 1))
    assert first.columns == 9 and first.images.shape == (3 * 9, 1, 8, 8)
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)


def test_two_layers_log_the_kl_of_each(env: Env) -> None:
    events = list[Event]()
    finished(studies.load("vae").play(config(stochastic_layers=2, head="none"), env), events.append)
    values: dict[str, float] = {}
    for event in events:
        values |= event.values if isinstance(event, Scalars) else {}
    for name in ("latent/kl", "latent/kl_validation"):
        assert values[name] == pytest.approx(values[f"{name}_1"] + values[f"{name}_2"])
    assert values["latent/active_2"] <= SMALL["latent_size"] // 2
    curves = {event.key: event for event in events if isinstance(event, Curve)}
    assert len(curves["latent/kl_by_dimension"].x) == 2 * len(curves["latent/kl_by_dimension_2"].x)


def test_grey_images_are_refused_by_a_likelihood_of_two_levels(env: Env) -> None:
    with pytest.raises(datasets.DataError, match="two grey levels, and 'digits' has 17; use --set likelihood=logistic"):
        training.check(config(likelihood="bernoulli"), datasets.load("digits", env.data_folder))
    training.check(config(likelihood="bernoulli"), datasets.load("persian", env.data_folder))


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("posterior_collapse", {"latent/kl": 0.01}),
        ("worse_than_mean", {"loss/squared_error": 0.31}),
        ("worse_than_independent", {"likelihood/training_bits": 3.1}),
    ],
)
def test_a_lost_training_ends_by_name_after_three_reports(reason: str, changes: dict[str, float]) -> None:
    monitor = DivergenceMonitor()
    for step in (1_100, 1_110):
        monitor = monitor.update(step, 1_500, True, REPORT | changes, REFERENCES)
    recovered = monitor.update(1_120, 1_500, True, REPORT, REFERENCES)
    assert recovered == DivergenceMonitor()
    with pytest.raises(Diverged, match=reason):
        monitor.update(1_120, 1_500, True, REPORT | changes, REFERENCES)
    assert DivergenceMonitor().update(10, 1_500, True, REPORT | changes, REFERENCES) == DivergenceMonitor(), "too early"


@pytest.mark.parametrize(
    ("reason", "changes"),
    [("non_finite", {"loss": float("nan")}), ("likelihood_unbounded", {"likelihood/training_nats": 3.0})],
)
def test_what_cannot_be_ends_a_training_at_once(reason: str, changes: dict[str, float]) -> None:
    with pytest.raises(Diverged, match=reason):
        DivergenceMonitor().update(1, 1_500, True, REPORT | changes, REFERENCES)


def test_a_heavy_price_of_the_code_ends_as_posterior_collapse(env: Env) -> None:
    settings = config(beta=100.0, annealing=0.0, free_nats=0.0, updates=1_200, evaluations=1, learning_rate=3e-3)
    with pytest.raises(Diverged, match="posterior_collapse"):
        finished(training.train(settings, env))


def test_a_rate_of_learning_of_nothing_ends_as_worse_than_mean(env: Env) -> None:
    settings = config(learning_rate=1e-9, annealing=1.0, updates=1_200, evaluations=1)
    with pytest.raises(Diverged, match="worse_than_mean"):
        finished(training.train(settings, env))


def test_a_code_that_costs_nothing_ends_as_worse_than_independent(env: Env) -> None:
    settings = config(beta=0.0, annealing=0.0, free_nats=0.0, updates=1_200, evaluations=1, learning_rate=3e-3)
    with pytest.raises(Diverged, match="worse_than_independent"):
        finished(training.train(settings, env))


def test_densities_at_the_middle_of_cells_end_as_likelihood_unbounded(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault of who forgets to draw where in its cell a level is: a Gaussian as narrow as it likes."""
    digits = datasets.load("digits", env.data_folder)
    images = torch.zeros(200, 1, 8, 8, dtype=torch.uint8)
    images[::2] = 255
    split = Split(images, digits.train.labels[:200])
    data = replace(digits, train=split, validation=split, test=split)
    honest = training.pixels_of
    monkeypatch.setattr(training, "pixels_of", lambda *arguments: honest(*arguments)._replace(cell=torch.tensor(0.5)))
    settings = config(likelihood="gaussian", learning_rate=1e-2, updates=1_200, evaluations=1)
    learner = training.AutoencoderLearner(settings, env, data, finished(Quality.obtain(digits, env, 16)))
    with pytest.raises(Diverged, match="likelihood_unbounded"):
        finished(loop.run(learner, None))


def test_another_fitted_prior_is_a_class_and_a_line_of_the_registry(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nearest(FittedPrior):
        """The codes of training images themselves."""

        def fit(self, codes: torch.Tensor, seed: int) -> None:
            self.codes = codes

        def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
            return self.codes[:n]

    monkeypatch.setitem(FITTED_PRIORS, "mixture", lambda settings: Nearest())
    data = datasets.load("digits", env.data_folder)
    network = networks.network(config(), data.shape)
    codes = evaluation.fresh_codes(config(), network, data, 32, env)
    assert torch.equal(codes["fitted_prior"], network.codes(data.train.floats()[:32]))
    assert torch.equal(network.draw_codes(32, env.generator("samples")), codes["fitted_prior"])


def test_references_are_the_mean_image_and_the_frequencies_of_each_place(env: Env) -> None:
    """Two images of two levels, by hand: each place has its own share of white, with one image added for all levels together."""
    data = datasets.load("persian", env.data_folder)
    images = torch.tensor([[[[255, 0]]], [[[255, 255]]]], dtype=torch.uint8)
    split = Split(images, torch.zeros(2, dtype=torch.int64))
    small = replace(data, train=split, validation=split, test=split)
    assert likelihood.levels(small) == 2
    computed = evaluation.references(small, 2)
    white, black, half = torch.tensor(2.5 / 3).log2(), torch.tensor(0.5 / 3), torch.tensor(1.5 / 3).log2()
    assert computed.independent_bits == pytest.approx(float(-(white + half) / 2), rel=1e-6) and black > 0
    assert computed.mean_image_error == pytest.approx(0.5)


def test_attacks_on_the_head_stay_within_epsilon_and_the_range_of_pixels(env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    head = _Head(networks.network(config(), data.shape))
    x, labels = data.validation.floats()[:16], data.validation.labels[:16]
    for moved in (fgsm(head, x, labels, 0.1), pgd(head, x, labels, 0.1, env.generator("attack"))):
        assert float((moved - x).abs().max()) <= 0.1 + 1e-6
        assert float(moved.abs().max()) <= 1
