"""Residual blocks in a flow: exact in evaluation, estimated in training, inverses, endings by name, what is reported."""

from typing import Any

import pytest
import torch

import studies
from models.data import dataset as datasets
from models.env import Env
from models.events import Curve, Diverged, Event, Facts, Scalars
from models.flow import evaluation, training
from models.flow.config import Config
from models.flow.divergence import check_contraction
from models.flow.networks import Flow, network
from models.flow.residual import estimates, lipschitz
from models.flow.residual.block import Residual
from models.flow.residual.chain import chain
from models.flow.residual.lipschitz import LipschitzConvolution
from models.parts.training.optimisation import seeded_init
from tests.models.flow.small import SHAPE, disturbed, pixels
from tests.support.playing import finished, gone_on

SMALL = {**studies.load("residual_flow").smallest, "blocks": "residual"}
KINDS: list[tuple[tuple[int, int, int], dict[str, Any]]] = [
    (SHAPE, {"dense_steps": 2, "depth": 1, "hidden": 12}),
    (SHAPE, {"steps": 1, "dense_steps": 0, "scales": 2, "width": 4, "logit": 0.01}),
    ((3, 4, 6), {"steps": 2, "dense_steps": 1, "scales": 2, "normalise": "none"}),
]


def config(**changes: Any) -> Config:
    return Config.model_validate(SMALL | changes)


def residual(shape: tuple[int, int, int] = SHAPE, **changes: Any) -> Flow:
    """A disturbed flow of residual blocks whose layers are bounded again, in double precision and evaluation mode."""
    with seeded_init(0):
        made = network(config(**changes), shape)
    disturbed(made)
    lipschitz.iterate(made, 40)
    return made.eval()


@pytest.mark.parametrize(("shape", "changes"), KINDS)
def test_in_evaluation_the_log_determinant_is_that_of_the_jacobian(
    shape: tuple[int, int, int], changes: dict[str, Any]
) -> None:
    made, x = residual(shape, **changes), pixels(1, shape)
    numbers = x.numel()
    jacobian = torch.autograd.functional.jacobian(lambda x: made.encode(x).noise[0].flatten(), x).view(numbers, numbers)
    log_determinant = made.encode(x, generator=torch.Generator()).log_determinant
    assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(log_determinant.item(), abs=1e-8)


@pytest.mark.parametrize(("shape", "changes"), KINDS)
def test_images_come_back_from_their_noise_by_fixed_points(
    shape: tuple[int, int, int], changes: dict[str, Any]
) -> None:
    made, x = residual(shape, **changes), pixels(3, shape)
    noise = made.encode(x).noise
    assert noise[0].shape == x.shape
    torch.testing.assert_close(made.decode(noise), x, rtol=0, atol=1e-4)
    each = torch.cat([made.encode(x[i : i + 1]).noise[0] for i in range(3)])
    torch.testing.assert_close(each, noise[0])


def test_in_training_the_log_determinant_is_estimated_as_the_settings_say() -> None:
    made, x = residual(dense_steps=2, tail="none", exact_terms=1, probes=2), pixels(4)
    exact = made.encode(x).log_determinant
    made.train()
    first, again, other = (
        made.encode(x, generator=torch.Generator().manual_seed(seed)).log_determinant for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, exact)
    many = torch.stack([made.encode(x, generator=torch.Generator().manual_seed(seed))[1] for seed in range(300)])
    blocks = estimates.powers(made, x, 1)
    terms = estimates.estimator_of(config(tail="none", exact_terms=1)).terms
    expected = estimates.of_flow(blocks, terms, 2)
    error = (expected.variance / 300).sqrt()
    assert bool(((many.mean(0) - exact - expected.bias).abs() < 4 * error).all())


def test_values_of_both_gradients_agree_and_so_do_gradients_on_average() -> None:
    """The gradients of 200 draws, along that of the exact log-determinant: equal within four standard errors."""
    parts = dict[str, torch.Tensor]()
    x = pixels(8)
    for gradient in ("neumann", "series"):
        made = residual(gradient=gradient)
        made.requires_grad_(True)
        block = next(block for block in made.modules() if isinstance(block, Residual))
        weight = next(layer for layer in lipschitz.layers(block)).weight
        (exact,) = torch.autograd.grad(made.encode(x).log_determinant.sum(), weight)
        made.train()
        shares = []
        for seed in range(200):
            total = made.encode(x, generator=torch.Generator().manual_seed(seed)).log_determinant.sum()
            (estimate,) = torch.autograd.grad(total, weight)
            shares.append(float((estimate * exact).sum() / exact.square().sum()))
        parts[gradient] = torch.tensor(shares)
        error = float(parts[gradient].std()) / 200**0.5
        assert abs(float(parts[gradient].mean()) - 1) < 4 * error and error < 0.3
    assert not torch.equal(parts["neumann"], parts["series"])


def test_what_training_begins_with_makes_every_block_see_variance_1() -> None:
    with seeded_init(0):
        made = chain(config(dense_steps=2), SHAPE)
    x = made.initialise(3 * pixels(400).float() + 5)
    torch.testing.assert_close(x.std(0), torch.ones(SHAPE), rtol=0.1, atol=0.05)


def test_a_large_image_is_estimated_the_same_by_every_call_and_said_to_be() -> None:
    shape = (1, 18, 18)
    with seeded_init(0):
        made = network(config(), shape).eval()
    x = torch.rand(2, *shape)
    assert torch.equal(made.encode(x).log_determinant, made.encode(x).log_determinant)
    (fact,) = estimates.report(made, config(), x, 1)
    assert isinstance(fact, Facts) and "324 numbers" in str(fact.values["logdet/reference"])
    assert estimates.estimates(made, config(), x, torch.Generator()).keys() == {"logdet/deviation"}


def test_a_trial_says_bias_and_deviation_of_its_estimate_and_draws_agree(env: Env) -> None:
    events, settings = list[Event](), config(coefficient=0.9, exact_terms=1, tail="poisson", tail_terms=1.0)
    result = finished(training.train(settings, env), events.append)
    x = pixels(8).float()
    events += estimates.report(result.network.eval(), settings, x, 20)
    values: dict[str, float] = {}
    for event in events:
        values |= event.values if isinstance(event, Scalars) else {}
    assert abs(values["logdet/bias"]) < 1e-6
    difference = values["logdet/bias_of_draws"] - values["logdet/bias"]
    assert abs(difference) < 5 * values["logdet/bias_of_draws_error"]
    assert values["logdet/deviation_of_draws"] == pytest.approx(values["logdet/deviation"], rel=0.3)
    assert 0 < values["logdet/jacobian_norm"] < 1 and values["residual/layer_norm"] <= 1
    assert values["residual/inverse_error"] < 1e-4 and values["flow/inverse_error"] < 1e-4
    curves = {event.key: event for event in events if isinstance(event, Curve)}
    bias, deviation = curves["logdet/bias_by_terms"], curves["logdet/deviation_by_terms"]
    assert set(bias.lines) == {"cut", "geometric tail", "Poisson tail"} and len(deviation.lines) == 6
    assert bias.lines["cut"][0] > 100 * bias.lines["geometric tail"][0]
    assert deviation.lines["cut, 4 probes"][-1] == pytest.approx(deviation.lines["cut, 1 probe"][-1] / 2, rel=1e-3)
    facts = {name: value for event in events if isinstance(event, Facts) for name, value in event.values.items()}
    assert facts["logdet/reference"] == "exact"


def test_a_resumed_training_is_an_uninterrupted_one_with_its_singular_vectors_and_draws(env: Env) -> None:
    told, resumed = gone_on(lambda state: training.train(config(updates=12), env, state), 6)
    scalars = [[event for event in events if isinstance(event, Scalars)] for events in (told, resumed)]
    assert scalars[0] == scalars[1] and scalars[0]


def test_norms_of_kernels_instead_of_convolutions_end_as_not_contractive(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault of who takes the norm of the reshaped kernel: a layer may stretch by up to three times its coefficient."""

    def norm(layer: LipschitzConvolution) -> torch.Tensor:
        return torch.linalg.matrix_norm(layer.weight.flatten(1), 2)

    monkeypatch.setattr(LipschitzConvolution, "norm", norm)
    settings = config(steps=1, dense_steps=0, width=4, updates=12, evaluations=1)
    result = finished(training.train(settings, env))
    with pytest.raises(Diverged, match="not_contractive.*above 1; raise norm_iterations"):
        list(evaluation.evaluate(result, env))


def test_a_contraction_is_judged_by_layers_and_fixed_points_but_not_at_once() -> None:
    check_contraction(900, 1_000, 0.99, 1e-6)
    check_contraction(100, 1_000, 1.2, 1.0)
    for norm, error, message in ((1.01, 0.0, "has norm 1.01"), (0.9, 2e-4, "0.0002 away"), (0.9, float("nan"), "nan")):
        with pytest.raises(Diverged, match=f"not_contractive.*{message}"):
            check_contraction(900, 1_000, norm, error)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0, "dense_steps": 0}, "leave no residual block; take dense_steps=1 or more"),
        ({"blocks": "coupling", "steps": 0}, "steps=0 leaves no coupling; take steps=1 or more"),
        ({"coefficient": 1.0}, "less than 1"),
    ],
)
def test_settings_that_leave_nothing_or_no_contraction_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_sides_that_cannot_be_halved_are_refused(env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    training.check(config(scales=4), data)
    with pytest.raises(datasets.DataError, match="scales=5 halve images of 8×8 too often; use --set scales=4"):
        training.check(config(scales=5), data)
