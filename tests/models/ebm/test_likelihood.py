"""The likelihood of an energy: a log Z that is known is found from both sides; what is not asked for changes nothing."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from models.data import dataset as datasets
from models.ebm import evaluation, training
from models.ebm import evaluation as _ebm_looks
from models.ebm import likelihood as _ebm_likelihood
from models.ebm.conditional.config import Config as ConditionalConfig
from models.ebm.config import Config
from models.ebm.likelihood import along, bounds, dequantised, ladder, likelihood, of_images, path
from models.env import Env
from models.events import Curve, Event, Scalars
from models.parts.evaluation.likelihood import levels
from tests.support.playing import finished

SMALL = {
    "blocks": 1,
    "width": 4,
    "n_steps": 10,
    "evaluation_samples": 32,
    "evaluations": 1,
    "buffer_size": 100,
    "evaluation_length": 1,
}
SHAPE = (1, 3, 3)
SCALE = 0.2  # of a well: five of these to the wall


def config(**changes: Any) -> Config:
    return Config.model_validate(SMALL | {"network_evaluations": 12 * 12} | changes)


def well(x: Tensor) -> Tensor:
    """At temperature T a normal of deviation SCALE √T around 0, between walls."""
    return (x / SCALE).square().flatten(1).sum(1) / 2


def of_well(temperature: float) -> float:
    """log Z on the box."""
    deviation = SCALE * math.sqrt(temperature)
    return math.prod(SHAPE) * math.log(deviation * math.sqrt(2 * math.pi) * math.erf(1 / (deviation * math.sqrt(2))))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(n: int, temperature: float) -> Tensor:
    return (SCALE * math.sqrt(temperature) * torch.randn(n, *SHAPE, generator=generator(7))).clamp(-1, 1)


@pytest.mark.parametrize("temperature", [1.0, 0.3, 20.0])
def test_the_normaliser_of_a_well_in_the_box(temperature: float) -> None:
    """Cold, and so hot that the walls cut it: both directions find log Z, and the nats of its own draws, −⟨E⟩/T − log Z."""
    found = path(well, SHAPE, temperature, 120, 400, generator())
    lower, upper = found.forward(400, generator(1)), found.reverse(draws(400, temperature), generator(2))
    expected = of_well(temperature)
    for one in (lower, upper):
        assert abs(one.log_z - expected) < 4 * one.standard_error + 1e-3
        assert one.effective_sample_size > 30
    assert lower.bound - 4 * lower.bound_error < expected < upper.bound + 4 * upper.bound_error
    values = bounds(lower, upper)
    assert -4 * values["gap_error"] < values["gap"] < 2.5
    told = of_images(torch.tensor([1.0, 3.0]).double(), temperature, lower, upper, SHAPE, 256)
    nats = -2 / temperature - expected
    assert told["nats"] == pytest.approx(nats, abs=4 * lower.standard_error + 1e-3)
    for key in ("bits_per_dimension", "bits_per_dimension_reverse"):
        assert told[key] == pytest.approx(7 - nats / (9 * math.log(2)), abs=0.05)


def test_starts_that_are_no_draws_are_settled_first() -> None:
    """From one corner of the box, far from the well: as good as draws after the transitions at T."""
    found = path(well, SHAPE, 1.0, 60, 400, generator())
    upper = found.reverse(torch.full((400, *SHAPE), 0.9), generator(2))
    assert abs(upper.log_z - of_well(1.0)) < 4 * upper.standard_error


def test_every_temperature_of_the_way_is_a_normaliser() -> None:
    found = path(well, SHAPE, 0.3, 200, 400, generator())
    lower, upper = found.forward(400, generator(1)), found.reverse(draws(400, 0.3), generator(2))
    inverse, below, above = along(found, lower, upper)
    assert inverse[0] == 0 and below[0] == above[0] == pytest.approx(9 * math.log(2)) and inverse[-1] == 1 / 0.3
    assert (below[-1], above[-1]) == (pytest.approx(lower.bound), pytest.approx(upper.bound))
    for k in range(20, 200, 20):
        exact = of_well(1 / inverse[k])
        assert exact - 0.8 < below[k] < exact + 4 * lower.bound_error
        assert exact - 4 * upper.bound_error < above[k] < exact + 0.8


def test_ladders_begin_evenly_and_go_on_by_factors() -> None:
    assert ladder(4, 0.0) == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-5)
    betas = ladder(60, 1e4)
    assert (betas[0], betas[-1], len(betas)) == (0.0, 1.0, 61)
    assert betas[60] / betas[59] == pytest.approx(betas[59] / betas[58], rel=1e-2)
    assert betas[2] / betas[1] == pytest.approx(2, rel=0.1)


def test_a_pixel_lies_anywhere_in_the_cell_of_its_level(env: Env) -> None:
    """The digits have 17 levels, so a cell is a seventeenth of the box."""
    validation = datasets.load("digits", env.data_folder).validation
    x = dequantised(validation, 17, generator())
    assert x.shape == validation.images[:1000].shape and x.min() >= -1 and x.max() <= 1
    cells = ((x + 1) * 17 / 2).floor()
    assert (cells != (validation.images[:1000] / 255 * 16).round()).float().mean() < 1e-4, "single precision may round"
    inside = (x + 1) * 17 / 2 - cells
    assert inside.mean().item() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / inside.numel()))


def told(events: list[Event]) -> dict[str, float]:
    return {key: value for event in events if isinstance(event, Scalars) for key, value in event.values.items()}


class Constant(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.new_full((len(x),), 3.0) + 0 * x.flatten(1).sum(1)


def test_a_constant_energy_is_the_uniform_distribution(env: Env) -> None:
    """log Z = D log 2 − 3, exactly, and log₂ 17 bits whatever the image; no temperature is better than another."""
    data, starts = datasets.load("digits", env.data_folder), torch.zeros(8, 1, 8, 8)
    events = list(likelihood(config(annealing_temperatures=5), Constant(), data, starts, env, 7))
    values = told(events)
    for key in ("likelihood/log_z_forward", "likelihood/log_z_reverse"):
        assert values[key] == pytest.approx(64 * math.log(2) - 3, abs=1e-3)
    for key in ("bits_per_dimension", "bits_per_dimension_reverse", "bits_per_dimension_stored"):
        assert values[f"likelihood/{key}"] == pytest.approx(math.log2(17), abs=1e-4)
    assert values["likelihood/gap"] == pytest.approx(0, abs=1e-3)
    assert values["likelihood/nats"] == pytest.approx(-64 * math.log(2), abs=1e-3)


class Linear(torch.nn.Module):
    """E = −s Σ c x, whose best temperature is known: pixels are independent."""

    def __init__(self, means: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("weights", torch.atanh(means.clamp(-0.9, 0.9)) * scale)

    def forward(self, x: Tensor) -> Tensor:
        return -(x * self.weights).flatten(1).sum(1)


def middle(split: datasets.Split) -> datasets.Split:
    """Its images' middle sixteen pixels."""
    return datasets.Split(split.images[:, :, 2:6, 2:6].contiguous(), split.labels)


def test_the_temperature_that_fits_best(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """E = −Σ w x has log Z = Σ log(2 sinh(w/T)/(w/T)) and one best T on training images, found on a fine grid."""
    digits = datasets.load("digits", env.data_folder)
    data = replace(digits, train=middle(digits.train), validation=middle(digits.validation))
    network = Linear(data.train.floats().mean(0), 0.01)
    w = network.weights.double().flatten()
    learned = dequantised(data.train, levels(data), generator()).double().flatten(1).mean(0)

    def exactly(inverse: Tensor) -> Tensor:
        x = inverse[:, None] * w.abs()
        return (x + torch.log1p(-torch.exp(-2 * x)) - x.log()).sum(1)

    inverse = torch.logspace(0, 4, 2000).double()
    expected = float(inverse[(inverse * (w * learned).sum() - exactly(inverse)).argmax()])
    monkeypatch.setattr(_ebm_likelihood, "RESOLUTION", 2e-3)  # as cold as is needed here, with fewer temperatures
    cold = config(annealing_temperatures=100, noise_start=1e-4, noise_end=1e-4)
    starts = 0.99 * network.weights.sign().expand(48, 1, 4, 4)  # where the energy is lowest, as long chains come to be
    events = list(likelihood(cold, network, data, starts, env, 7))
    values = told(events)
    assert 1 / values["likelihood_fitted/temperature"] == pytest.approx(expected, rel=0.25), "the grid has steps"
    exact = float(exactly(torch.tensor([1 / values["likelihood_fitted/temperature"]]).double()))
    for side in ("forward", "reverse"):
        error = values[f"likelihood_fitted/log_z_{side}_error"]
        assert values[f"likelihood_fitted/log_z_{side}"] == pytest.approx(exact, abs=4 * error + 0.1)
    assert values["likelihood_fitted/bits_per_dimension"] < values["likelihood/bits_per_dimension"] - 0.02
    (curve,) = [event for event in events if isinstance(event, Curve)]
    assert set(curve.lines) == {"forward", "reverse", "uniform"} and len(curve.x) == 100


def test_it_is_left_out_unless_asked_for_and_changes_no_other_number(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ebm_looks, "SHOWN", 8)
    result = finished(training.train(config(annealing_temperatures=3), env))
    asked = told(list(evaluation.report(result, env)))
    without = told(list(evaluation.report(replace(result, config=config()), env)))
    mine = {key: value for key, value in asked.items() if key.startswith("likelihood")}
    assert {"likelihood/gap", "likelihood/bits_per_dimension"} <= set(mine)
    assert all(math.isfinite(value) for value in mine.values())
    assert without == {key: value for key, value in asked.items() if key not in mine}


def test_energies_with_labels_are_refused() -> None:
    with pytest.raises(ValidationError, match="a Z for each label; leave it at 0"):
        ConditionalConfig(annealing_temperatures=10)
