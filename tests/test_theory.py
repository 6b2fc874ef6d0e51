"""The benchmark of theory against closed forms: its densities, the gradients it reads, the limits it names, a picture."""

import math
from pathlib import Path

import pytest
import torch

from benchmarks.theory import denoising, discriminator, evidence, frechet, slopes, supports
from benchmarks.theory.critics import Critics, train
from benchmarks.theory.densities import GENERATED, GRID, REAL, WIDTH, Mixture
from models.gan.config import Config
from models.gan.f_divergences import DIVERGENCES
from models.parts.evaluation import metrics


@pytest.mark.parametrize("mixture", [REAL, GENERATED])
def test_a_density_is_that_of_its_samples(mixture: Mixture) -> None:
    density = mixture.density(GRID)
    mean = float((density * GRID).sum() * WIDTH)
    assert float(density.sum() * WIDTH) == pytest.approx(1, abs=1e-6)
    samples = mixture.sample((2, 50_000), torch.Generator().manual_seed(0)).double()
    assert float(samples.mean()) == pytest.approx(mean, abs=0.03)
    below = float((density * (GRID < 1)).sum() * WIDTH)
    assert float((samples < 1).double().mean()) == pytest.approx(below, abs=0.01)


def test_a_generated_value_gets_the_gradient_of_its_loss() -> None:
    """With D = σ(v): D by minimax, 1 − D without saturation, 1 by Wasserstein."""
    share = torch.tensor([0.01, 0.5, 0.9], dtype=torch.float64)
    values = share.logit()
    assert torch.allclose(slopes.of_values("minimax", values), share)
    assert torch.allclose(slopes.of_values("bce", values), 1 - share)
    assert torch.allclose(slopes.of_values("wgan_gp", values), torch.ones(3, dtype=torch.float64))


def test_by_the_best_critic_minimax_has_the_slope_of_the_divergence() -> None:
    """What the generator gets of minimax is the derivative of 2 JS, by the envelope theorem."""

    def divergence(shift: float) -> float:
        q = Mixture(((1.0, shift, slopes.DEVIATION),)).density(GRID)
        inside = (slopes.REAL.density(GRID) > 0) & (q > 0)
        p, q = slopes.REAL.density(GRID)[inside], q[inside]
        return float(DIVERGENCES["jensen_shannon"].exact(p, q, WIDTH))

    step = 1e-3
    expected = (divergence(slopes.SHIFT + step) - divergence(slopes.SHIFT - step)) / (2 * step)
    assert slopes.exact("minimax") == pytest.approx(expected, rel=1e-3)
    assert slopes.exact("bce") == pytest.approx(slopes.SHIFT / slopes.DEVIATION**2, rel=0.01)


def test_uniform_densities_have_their_known_distances() -> None:
    known = supports.exact(torch.tensor([0.0, 0.4, 1.0, 3.0]))
    assert known["js"].tolist() == pytest.approx([0, 0.4 * math.log(2), math.log(2), math.log(2)])
    assert known["w1"].tolist() == pytest.approx([0, 0.4, 1, 3])


def test_fid_is_the_closed_form_of_two_gaussians() -> None:
    reference, samples = torch.randn(2, 20_000, 64, generator=torch.Generator().manual_seed(0)).double()
    found = metrics.fid(reference, samples * 1.5 + 2 / 8)
    assert found == pytest.approx(frechet.exact(2.0, 1.5), rel=0.03)


def test_codes_from_the_encoder_find_the_evidence_and_codes_from_the_prior_do_not() -> None:
    near, effective = evidence.estimates(0, (1, 200), encoder=True)
    far, single = evidence.estimates(0, (1, 200), encoder=False)
    assert near[0] < -0.1 and abs(near[1]) < 0.02 and effective[1] > 50
    assert far[0] < far[1] < -50 and single[1] < 2


def test_both_gradients_are_right_on_average_and_one_is_much_noisier() -> None:
    n = 4_000
    exact, ways = evidence.gradients(0, n)
    for values in ways.values():
        assert ((values.mean(0) - exact).abs() < 5 * values.std(0) / math.sqrt(n)).all()
    errors = {name: float((values - exact).square().sum(1).mean()) for name, values in ways.items()}
    assert 5 * errors["reparameterisation"] < errors["score function, less the mean"] < errors["score function"] / 20


def test_the_denoising_loss_is_the_explicit_one_plus_a_constant() -> None:
    """Of an untrained network, whose losses are far from least, and so are its gradients, which agree."""
    network = denoising.train(0, 1)[0]
    for time in denoising.TIMES:
        assert denoising.difference(network, time, 0, 10_000)[1] < 5
        assert denoising.gradients_apart(network, time, 0, 10_000) < 5


def test_the_best_denoiser_of_a_single_gaussian_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of N(m, s²): m + α s² (x − α m) / (α² s² + σ²)."""
    monkeypatch.setattr(denoising, "REAL", Mixture(((1.0, 0.5, 0.7),)))
    x, mixing = torch.linspace(-2, 2, 9, dtype=torch.float64), denoising.SCHEDULE.at(400)
    alpha, sigma = float(mixing.alpha), float(mixing.sigma)
    expected = 0.5 + alpha * 0.49 * (x - alpha * 0.5) / (alpha**2 * 0.49 + sigma**2)
    torch.testing.assert_close(denoising.denoiser(x, 400), expected)


@pytest.mark.parametrize("eta", denoising.ETAS)
def test_given_an_image_the_process_of_every_eta_has_the_same_marginals(eta: float) -> None:
    assert denoising.process_errors(eta, 0, 4_000) < 4.5


def test_inversion_errs_less_the_more_steps_it_takes() -> None:
    few, many = denoising.inversion_error(10, 0, 200), denoising.inversion_error(80, 0, 200)
    assert 0 < many < few / 4


def test_replicates_learn_alone() -> None:
    """A critic's training does not depend on which others learn beside it."""

    def trained(replicates: int) -> torch.Tensor:
        critics = Critics(3)
        if replicates < 3:
            for parameter in critics.parameters():
                parameter.data = parameter.data[:replicates]
        x = torch.linspace(-1, 1, 20).expand(replicates, -1)
        for _ in train(critics, Config(loss="bce"), lambda g: x, lambda g: x + 1, 20):
            pass
        return critics(x).detach()[0]

    assert torch.allclose(trained(1), trained(3), atol=1e-4)


def test_a_part_draws_its_picture_and_says_its_figure(tmp_path: Path) -> None:
    (figure,) = discriminator.measure(quick=True, folder=tmp_path)
    assert "three seeds" in figure.name and 0 < float(figure.measured.split()[0]) < 0.2
    assert (tmp_path / "theory_discriminator.png").stat().st_size > 10_000
