"""How far to trust chains: effective sample size, split R̂, acceptance, drift of the energy.

R̂ and both sample sizes are those of Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021 (arXiv:1903.08008): of chains
split in halves, of ranks turned into normal scores, so that heavy tails and odd scales do not mislead them. All take
draws as (chains, draws, *shape), as ``torch.stack([x for x, _ in iterate(…)], 1)`` gives them, and judge each element of the
shape on its own. Draws that do not vary give NaN.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def split_rhat(draws: Tensor) -> Tensor:
    """Rank-normalised split R̂, (*shape): above 1.01 the chains have not yet found the same distribution.

    The larger of that for the location and that for the spread. Needs 4 draws a chain.
    """
    halves = _split(draws)
    median = halves.flatten(0, 1).quantile(0.5, 0)
    return torch.maximum(_rhat(_normal_scores(halves)), _rhat(_normal_scores((halves - median).abs())))


def effective_sample_size(draws: Tensor) -> Tensor:
    """Bulk effective sample size, (*shape): so many independent draws say as much about the middle. Needs 4 draws a chain."""
    return _ess(_normal_scores(_split(draws)))


def tail_effective_sample_size(draws: Tensor) -> Tensor:
    """The smaller effective sample size of the 5 % and 95 % quantiles, (*shape). Needs 4 draws a chain."""
    draws = draws.double()
    low, high = draws.flatten(0, 1).quantile(torch.tensor([0.05, 0.95], dtype=draws.dtype, device=draws.device), 0)
    return torch.fmin(_ess(_split(draws <= low)), _ess(_split(draws <= high)))


class Acceptance(NamedTuple):
    """How often proposals were accepted."""

    mean: float
    lowest: float  # of the chains
    highest: float
    stuck: float  # share of chains that hardly ever moved: below 1 % accepted


def acceptance(probabilities: Tensor) -> Acceptance:
    """A summary of ``info.acceptance``, stacked to (chains, steps)."""
    chains = probabilities.double().mean(1)
    return Acceptance(
        chains.mean().item(), chains.min().item(), chains.max().item(), (chains < 0.01).double().mean().item()
    )


class Drift(NamedTuple):
    """How fast the energy still changes, per step."""

    slope: float  # mean over chains; below 0 the chains still descend
    standard_error: float  # from the spread between chains, which are independent; NaN of one chain


def energy_drift(energies: Tensor) -> Drift:
    """The trend of ``info.energy``, stacked to (chains, steps), by least squares in each chain.

    Chains that have reached their law have a slope within a few standard errors of 0; short-run chains, which training
    stops on the way, do not. Needs 2 steps.
    """
    steps = torch.arange(energies.shape[1], dtype=torch.float64, device=energies.device)
    steps -= steps.mean()
    slopes = energies.double() @ steps / steps.square().sum()
    error = slopes.std() / len(slopes) ** 0.5 if len(slopes) > 1 else torch.tensor(torch.nan)
    return Drift(slopes.mean().item(), error.item())


def _split(draws: Tensor) -> Tensor:
    """Halves of the chains as chains: (2 · chains, draws // 2, *shape), in double precision; an odd one in the middle goes."""
    n = draws.shape[1]
    if n < 4:
        raise ValueError(f"a diagnosis needs at least 4 draws a chain, not {n}")
    return torch.cat([draws[:, : n // 2], draws[:, n - n // 2 :]]).double()


def _normal_scores(x: Tensor) -> Tensor:
    """Φ⁻¹((r − 3/8) / (S + 1/4)) of the rank r of each among all S draws of its element; ties share their mean rank."""
    flat = x.flatten(0, 1).flatten(1).T if x.dim() > 2 else x.flatten(0, 1)[None]  # (elements, S)
    ordered = flat.contiguous().sort(1).values
    below = torch.searchsorted(ordered, flat.contiguous())
    up_to = torch.searchsorted(ordered, flat.contiguous(), right=True)
    rank = (below + up_to + 1).double() / 2
    scores: Tensor = torch.special.ndtri((rank - 0.375) / (flat.shape[1] + 0.25))
    return scores.T.reshape(x.shape)


def _rhat(x: Tensor) -> Tensor:
    within, total = _variances(x)
    return (total / within).sqrt()


def _variances(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean variance within chains, and the estimate of the whole variance that also counts that between them."""
    n = x.shape[1]
    within = x.var(1).mean(0)
    return within, within * (n - 1) / n + x.mean(1).var(0)


def _ess(x: Tensor) -> Tensor:
    """Chains times draws over the autocorrelation time, whose sum Geyer's monotone sequence cuts off (1992)."""
    chains, n = x.shape[:2]
    within, total = _variances(x)
    centred = x - x.mean(1, keepdim=True)
    spectrum = torch.fft.rfft(centred, 2 * n, 1)  # padded, or the lags would wrap around
    covariance = torch.fft.irfft(spectrum.abs().square(), 2 * n, 1)[:, :n].mean(0) / n
    rho = 1 - (within - covariance) / total
    rho[0] = 1
    pairs = rho[: n // 2 * 2].unflatten(0, (n // 2, 2))
    sums = pairs.sum(1)  # positive and falling in theory; from the first that is not on, it is noise
    positive = (sums > 0).cumprod(0).bool()
    positive[(n - 3) // 2 :] = False
    time = 2 * sums.cummin(0).values.where(positive, 0).sum(0) - 1
    ends = positive.sum(0, keepdim=True).clamp(max=n // 2 - 1)
    time = time + pairs[:, 0].gather(0, ends)[0].clamp(min=0)  # half a pair: what is left of a positive first one
    size = torch.tensor(float(chains * n), dtype=x.dtype, device=x.device)
    sizes: Tensor = size / time.clamp(min=1 / size.log10())
    return sizes.where(total > 0, torch.nan)
