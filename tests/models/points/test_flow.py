"""The flow on points: its inverse, its log-determinant, what permutations and shifts do, and how noise leaves the code."""

from typing import Any

import pytest
import torch
from torch import Tensor

from models.points.batches import Batch
from models.points.config import Config
from models.points.losses import losses
from models.points.networks import PointFlow, log_prior, network

SETTINGS: dict[str, Any] = {"points": 64, "neighbours": 6, "augmentation": 3, "masked": 2, "steps": 3, "width": 8}


def flow(**changes: Any) -> PointFlow:
    """With weights such that every coupling does something."""
    torch.manual_seed(0)
    made = network(Config.model_validate(SETTINGS | changes))
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    return made.requires_grad_(False)


def clouds(n: int = 2, points: int = 64) -> Tensor:
    return torch.randn(n, points, 3, generator=torch.Generator().manual_seed(1)) * 0.4


@pytest.mark.parametrize("features", ["offsets", "planes"])
def test_decoding_a_code_gives_back_what_was_encoded(features: str) -> None:
    made, noisy = flow(features=features), clouds()
    graph = made.graph(noisy)
    x, e, _ = made.augmented(noisy, graph, torch.randn(2, 64, 3))
    code, _ = made.encode(x, e, graph.indices)
    back, augmentation = made.decode(code, graph.indices)
    assert torch.allclose(back, x, atol=1e-4) and torch.allclose(augmentation, e, atol=1e-4)
    assert not torch.allclose(code[:, :, :3], x, atol=0.1)


def test_the_log_determinant_is_that_of_the_jacobian() -> None:
    made = flow().double()
    noisy = clouds(1, 10).double()
    graph = made.graph(noisy)
    x, e, _ = made.augmented(noisy, graph)
    _, claimed = made.encode(x, e, graph.indices)

    def whole(both: Tensor) -> Tensor:
        both = both.reshape(1, 10, 6)
        return made.encode(both[:, :, :3], both[:, :, 3:], graph.indices)[0].flatten()

    jacobian = torch.autograd.functional.jacobian(whole, torch.cat([x, e], 2).flatten())
    assert float(claimed.sum()) == pytest.approx(float(torch.linalg.slogdet(jacobian).logabsdet), rel=1e-9)
    assert float(claimed.sum()) != pytest.approx(0, abs=0.1)


def test_the_density_of_the_augmentation_is_that_of_its_gaussian() -> None:
    made, noisy, drawn = flow(), clouds(), torch.randn(2, 64, 3)
    graph = made.graph(noisy)
    x, e, density = made.augmented(noisy, graph, drawn)
    mean, log_deviation = made.augmentation(x, graph.indices)
    expected = torch.distributions.Normal(mean, log_deviation.exp()).log_prob(e).sum(2)
    assert torch.allclose(density, expected, atol=1e-4)
    assert torch.allclose(log_prior(e), torch.distributions.Normal(0, 1).log_prob(e).sum(2), atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"disentangle": "consistency"}, {"iterations": 2}], ids=str)
def test_a_permuted_cloud_is_denoised_to_the_permuted_result(changes: dict[str, Any]) -> None:
    made, noisy, order = flow(**changes), clouds(), torch.randperm(64)
    assert torch.allclose(made(noisy[:, order]), made(noisy)[:, order], atol=1e-5)
    assert float((made(noisy) - noisy).abs().max()) > 1e-3


def test_a_cloud_elsewhere_and_larger_is_denoised_alike() -> None:
    """Coordinates are moved by what is near, in units of a neighbourhood; clouds of a batch do not see each other."""
    made, noisy = flow(), clouds()
    assert torch.allclose(made(3 * noisy + 5), 3 * made(noisy) + 5, atol=1e-3)
    assert torch.allclose(made(noisy)[:1], made(noisy[:1]), atol=1e-5)
    assert made(clouds(1, 80)).shape == (1, 80, 3), "any number of points"


@pytest.mark.parametrize("disentangle", ["mask", "consistency"])
def test_an_untrained_flow_changes_nothing(disentangle: str) -> None:
    """Couplings begin at 0, so the first look is the noisy cloud."""
    made, noisy = network(Config.model_validate(SETTINGS | {"disentangle": disentangle})), clouds()
    made.initialise(noisy)
    assert torch.allclose(made(noisy), noisy, atol=1e-5)


def test_actnorm_is_initialised_from_data_and_kept_by_the_weights() -> None:
    made, noisy = network(Config.model_validate(SETTINGS)).requires_grad_(False), clouds()
    made.initialise(noisy)
    graph = made.graph(noisy)
    code, _ = made.encode(*made.augmented(noisy, graph)[:2], graph.indices)
    assert torch.allclose(code[:, :, 3:].mean((0, 1)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(code[:, :, 3:].flatten(0, 1).std(0), torch.ones(3), atol=1e-3)
    assert float(code[:, :, :3].std()) == pytest.approx(1, abs=1e-3)
    loaded = network(Config.model_validate(SETTINGS))
    loaded.load_state_dict(made.state_dict())
    loaded(clouds(1) * 7)  # denoising first changes nothing
    assert all(torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), made.state_dict().values(), strict=True))


def test_a_masked_code_is_zero_in_its_last_channels() -> None:
    code = torch.randn(2, 64, 6)
    left = flow().without_noise(code)
    assert torch.equal(left[:, :, :4], code[:, :, :4]) and float(left[:, :, 4:].abs().max()) == 0


def test_each_loss_counts_by_its_weight() -> None:
    made, generator = flow(disentangle="consistency"), torch.Generator()
    noisy = clouds()

    batch = Batch(noisy, noisy * 0.9, torch.cat([noisy * 0.9, noisy[:, :9]], 1))

    def total(**weights: float) -> list[float]:
        generator.manual_seed(0)
        config = Config.model_validate(SETTINGS | {"disentangle": "consistency"} | weights)
        return [float(part) for part in losses(config, made, batch, generator)]

    whole, surface, paired, nll, consistency = total(nll_weight=0.5, consistency=2.0, paired=3.0)
    assert whole == pytest.approx(surface + 3 * paired + 0.5 * nll + 2 * consistency, rel=1e-5)
    assert total(nll_weight=0.0, consistency=0.0, paired=0.0)[0] == pytest.approx(surface, rel=1e-5)
    assert 0 < surface < paired, "the nearest clean point is nearer than the own one"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"masked": 4}, "masked=4 is above augmentation=3; lower it"),
        ({"noise_least": 0.2}, "noise_least=0.2 is above noise_most=0.05"),
        ({"neighbours": 63, "points": 63 + 1, "noise_most": 0.001}, "noise_least"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Config.model_validate(SETTINGS | changes)
