"""Why the bound: log p(x) by codes from the prior or from an encoder, and its gradient with or without reparameterisation.

The model is probabilistic principal components (Tipping and Bishop 1999), x = W z + σ ε, whose log p(x), posterior and gradients
are known. Burda et al. 2016, arXiv:1509.00519; Kingma and Welling 2014, arXiv:1312.6114; Mohamed et al. 2020, arXiv:1906.10652.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from benchmarks._figure import Figure
from models.vae.bound import effective_samples, importance_bound
from models.vae.networks import Gaussian
from orchestrator import files
from orchestrator.figures.canvas import LINES, blank, png

PIXELS, CODES, NOISE = 64, 8, 0.3
SEEDS, IMAGES, REPEATS = 3, 10, 5  # models; images of each; estimates of each image
COUNTS = (1, 10, 50, 200, 1_000, 10_000)  # codes per image
WRONG = 1.0  # posterior deviations by which the gradient's encoder misses each mean
ESTIMATES = 20_000  # of the gradient, with one code each


class Components:
    """A model and images of it, in double precision."""

    def __init__(self, seed: int) -> None:
        self.generator = Generator().manual_seed(seed)
        self.loadings = self.normal(PIXELS, CODES) / math.sqrt(CODES)
        self.images = self.normal(IMAGES, CODES) @ self.loadings.T + NOISE * self.normal(IMAGES, PIXELS)
        self.precision = torch.eye(CODES, dtype=torch.float64) + self.loadings.T @ self.loadings / NOISE**2
        self.means = self.images @ self.loadings / NOISE**2 @ torch.linalg.inv(self.precision)  # of the posterior

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def exact(self) -> Tensor:
        """log p(x), (images,)."""
        covariance = self.loadings @ self.loadings.T + NOISE**2 * torch.eye(PIXELS, dtype=torch.float64)
        log_density: Tensor = MultivariateNormal(torch.zeros(PIXELS, dtype=torch.float64), covariance).log_prob(
            self.images
        )
        return log_density

    def log_probability(self, z: Tensor, images: Tensor) -> Tensor:
        """log p(x | z) of ``images`` (n, PIXELS) with codes (n, CODES): (n,)."""
        errors = (images - z @ self.loadings.T) / NOISE
        return -0.5 * errors.square().sum(1) - PIXELS * (math.log(NOISE) + 0.5 * math.log(2 * math.pi))

    def encoder(self, n: int, wrong: float = 0.0) -> Gaussian:
        """The best Gaussian with independent dimensions for each image, ``n`` times, its means off by ``wrong`` deviations."""
        variance = 1 / self.precision.diagonal()
        means = (self.means + wrong * variance.sqrt()).repeat(n, 1)
        return Gaussian(means, variance.log().expand_as(means))


def prior(n: int) -> Gaussian:
    """N(0, I), ``n`` times."""
    zeros = torch.zeros(n, CODES, dtype=torch.float64)
    return Gaussian(zeros, zeros)


def log_weights(model: Components, n_codes: int, encoder: bool) -> Tensor:
    """log p(x, z) − log q(z) of codes from the encoder or from the prior, (codes, images)."""
    n = n_codes * IMAGES
    standard = prior(n)
    proposal = model.encoder(n_codes) if encoder else standard
    z = proposal.draw(model.generator)
    weights = model.log_probability(z, model.images.repeat(n_codes, 1)) + (
        standard.log_density(z) - proposal.log_density(z)
    ).sum(1)
    return weights.view(n_codes, IMAGES)


def estimates(seed: int, counts: tuple[int, ...], encoder: bool) -> tuple[Tensor, Tensor]:
    """Mean bias of log p(x), in nats, and effective codes, for each number of codes: (counts,) each."""
    model = Components(seed)
    exact, values = model.exact(), torch.zeros(2, len(counts))
    for i, count in enumerate(counts):
        for _ in range(REPEATS):
            weights = log_weights(model, count, encoder)
            values[0, i] += (importance_bound(weights) - exact).mean() / REPEATS
            values[1, i] += effective_samples(weights).mean() / REPEATS
    return values[0], values[1]


def gradients(seed: int, n: int) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Of the bound of one image in the encoder's means: exact (CODES,), and ``n`` estimates by each way, (n, CODES)."""
    model = Components(seed)
    first = model.encoder(1, WRONG)
    mean = first.mean[:1].expand(n, -1).clone().requires_grad_()
    posterior = Gaussian(mean, first.log_variance[:1].expand(n, -1))
    images, standard = model.images[:1].expand(n, -1), prior(n)

    def objective(z: Tensor, q: Gaussian) -> Tensor:
        return model.log_probability(z, images) + (standard.log_density(z) - q.log_density(z)).sum(1)

    z = posterior.draw(model.generator)
    (through,) = torch.autograd.grad(objective(z, posterior).sum(), mean)
    z = z.detach()
    (score,) = torch.autograd.grad(posterior.log_density(z).sum(), mean)
    values = objective(z, posterior).detach()
    others = (values.sum() - values) / (n - 1)
    exact = (model.images[0] - mean[0] @ model.loadings.T) @ model.loadings / NOISE**2 - mean[0]
    return exact.detach(), {
        "reparameterisation": through,
        "score function, less the mean": score * (values - others)[:, None],
        "score function": score * values[:, None],
    }


def measure(quick: bool, folder: Path) -> Iterator[Figure]:
    """Bias and effective codes of both estimates of log p(x); the error of both gradients."""
    counts, n = (COUNTS[:4], ESTIMATES // 10) if quick else (COUNTS, ESTIMATES)
    bias, effective = dict[str, Tensor](), dict[str, Tensor]()
    for name, encoder in (("codes from the encoder", True), ("codes from the prior", False)):
        runs = [estimates(seed, counts, encoder) for seed in range(SEEDS)]
        bias[name], effective[name] = (torch.stack(parts) for parts in zip(*runs, strict=True))
        for i, count in enumerate(counts):
            low, high = float(bias[name][:, i].min()), float(bias[name][:, i].max())
            text = f"{bias[name][:, i].mean():.3g} nats ({low:.3g} to {high:.3g}), {effective[name][:, i].mean():.1f} effective"
            close = encoder and i == len(counts) - 1
            yield Figure(
                f"log p(x) by {count:,} {name}, less the exact one",
                text,
                "within 0.1 nats" if close else "",
                max(-low, high) <= 0.1 if close else None,
            )
    errors = dict[str, Tensor]()
    runs_of_gradients = [gradients(seed, n) for seed in range(SEEDS)]
    for name in runs_of_gradients[0][1]:
        deviations = torch.stack([(ways[name] - exact).square().sum(1).mean() for exact, ways in runs_of_gradients])
        norms = torch.stack([exact.square().sum() for exact, _ in runs_of_gradients])
        errors[name] = (deviations / norms).sqrt()
        off = max(
            float(((ways[name].mean(0) - exact).abs() / (ways[name].std(0) / math.sqrt(n))).max())
            for exact, ways in runs_of_gradients
        )
        text = f"{errors[name].mean():.3g} of its length ({errors[name].min():.3g} to {errors[name].max():.3g})"
        yield Figure(f"error of the gradient by {name}, one code", text)
        yield Figure(f"mean of {n:,} such gradients", f"{off:.1f} standard errors off", "<= 5", off <= 5)
    for name in list(errors)[1:]:
        codes = (errors[name] / errors["reparameterisation"]).square()
        text = f"{codes.mean():,.0f} ({codes.min():,.0f} to {codes.max():,.0f})"
        yield Figure(f"codes by {name} that are worth one of reparameterisation", text)
    files.write_output(folder / "theory_evidence.png", draw(counts, bias, effective, errors))


def draw(
    counts: tuple[int, ...], bias: Mapping[str, Tensor], effective: Mapping[str, Tensor], errors: Mapping[str, Tensor]
) -> bytes:
    """Bias and effective codes over the number of codes; the gradient's error, which falls with the root of their number."""
    figure = blank(13, 4, "log p(x) and its gradient, by the codes that are drawn for an image")
    left, middle, right = figure.subplots(1, 3)
    for color, name in zip(LINES, bias, strict=False):
        for axes, values in ((left, -bias[name]), (middle, effective[name])):
            axes.plot(counts, values.mean(0), "o-", markersize=4, color=color, label=name)
            axes.fill_between(counts, values.amin(0), values.amax(0), color=color, alpha=0.2, linewidth=0)
    for color, (name, values) in zip(LINES, errors.items(), strict=False):
        right.plot(counts, values.mean() / torch.tensor(counts).sqrt(), "-", color=color, label=name)
    middle.plot(counts, counts, color="grey", linestyle="--", linewidth=1, label="all of them")
    left.set(xlabel="codes per image", ylabel="nats below log p(x)", xscale="log", yscale="log")
    middle.set(xlabel="codes per image", ylabel="effective codes", xscale="log", yscale="log")
    right.set(xlabel="codes per image", ylabel="error of the gradient / its length", xscale="log", yscale="log")
    left.set_ylim(bottom=1e-3)
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return png(figure)
