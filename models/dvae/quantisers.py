"""From encodings to tokens and back: codes that follow a moving average, and codes that are drawn by Gumbel-softmax.

An encoding is a vector at one place of the encoder's map. Both work on encodings (n, dimension) and tokens (n,).
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

SMALLEST = 1e-5  # of a moving count that a code is still divided by


class MovingCodes(nn.Module):
    """Each encoding becomes the code nearest to it; a code is the moving average of the encodings that it stood for.

    van den Oord et al. 2017, arXiv:1711.00937, equation 3 without the codebook's own loss, and appendix A.1. A code that
    is used less than ``restart_below`` of even use is put onto an encoding of the batch (Dhariwal et al. 2020,
    arXiv:2005.00341, section 3.1); the first batch places all codes so. With ``normalise`` encodings and codes lie on
    the unit sphere (Yu et al. 2021, arXiv:2110.04627, section 3.2).
    """

    codes: Tensor
    counts: Tensor
    sums: Tensor
    placed: Tensor

    def __init__(
        self, size: int, dimension: int, commitment: float, decay: float, restart_below: float, normalise: bool
    ) -> None:
        super().__init__()
        self.commitment, self.decay, self.restart_below = commitment, decay, restart_below
        self.normalise = normalise
        self.register_buffer("codes", self._scaled(torch.randn(size, dimension)))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", self.codes.clone())
        self.register_buffer("placed", torch.tensor(False))

    def tokens(self, z: Tensor) -> Tensor:
        """The number of the nearest code."""
        return torch.cdist(self._scaled(z), self.codes).argmin(1)

    def vectors(self, tokens: Tensor) -> Tensor:
        """The codes of ``tokens``, (n, dimension)."""
        return self.codes[tokens]

    def learn(self, z: Tensor, progress: float, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Codes for a batch, their tokens, and the penalty β·mean|z − e|²; moves the codes.

        The gradient in the codes is passed to ``z`` as it is.
        """
        z = self._scaled(z)
        with torch.no_grad():
            if not self.placed:
                self._restart(torch.ones_like(self.counts, dtype=torch.bool), z, generator)
                self.placed.fill_(True)
            tokens = self.tokens(z)
        codes = self.vectors(tokens)
        penalty = self.commitment * F.mse_loss(z, codes)
        passed_through = z + (codes - z).detach()
        with torch.no_grad():
            self._move(z, tokens, generator)
        return passed_through, tokens, penalty

    def _move(self, z: Tensor, tokens: Tensor, generator: Generator) -> None:
        used = F.one_hot(tokens, len(self.counts)).to(z.dtype)
        self.counts.lerp_(used.sum(0), 1 - self.decay)
        self.sums.lerp_(used.T @ z, 1 - self.decay)
        alive = self.counts > SMALLEST
        means = self.sums / self.counts.clamp_min(SMALLEST)[:, None]
        self.codes = torch.where(alive[:, None], self._scaled(means), self.codes)
        dead = self.counts < self.restart_below * len(z) / len(self.counts)
        if dead.any():
            self._restart(dead, z, generator)

    def _restart(self, dead: Tensor, z: Tensor, generator: Generator) -> None:
        """Put codes onto encodings drawn from ``z``, counted as if they were used evenly."""
        encodings = z[torch.randint(len(z), (len(self.counts),), generator=generator, device=z.device)]
        even = len(z) / len(self.counts)
        self.codes = torch.where(dead[:, None], encodings, self.codes)
        self.counts = torch.where(dead, even, self.counts)
        self.sums = torch.where(dead[:, None], encodings * even, self.sums)

    def _scaled(self, z: Tensor) -> Tensor:
        return F.normalize(z, dim=1) if self.normalise else z


class GumbelCodes(nn.Module):
    """Each encoding gives every code a logit; training draws a token, evaluation takes the likeliest.

    Straight-through Gumbel-softmax (Jang et al. 2017, arXiv:1611.01144, section 2.2): the drawn code goes forward, the
    gradient is that of the softmax at a temperature that falls from ``start`` to ``end``. The penalty is ``kl_weight``
    times the divergence from even use, summed over codes and averaged over encodings (Ramesh et al. 2021, arXiv:2102.12092).
    """

    def __init__(self, size: int, dimension: int, start: float, end: float, kl_weight: float) -> None:
        super().__init__()
        self.start, self.end, self.kl_weight = start, end, kl_weight
        self.logits = nn.Linear(dimension, size)
        self.codes = nn.Parameter(torch.randn(size, dimension))

    def tokens(self, z: Tensor) -> Tensor:
        """The likeliest code."""
        return cast(Tensor, self.logits(z)).argmax(1)

    def vectors(self, tokens: Tensor) -> Tensor:
        """The codes of ``tokens``, (n, dimension)."""
        return self.codes[tokens]

    def temperature(self, progress: float) -> float:
        """At ``progress`` in [0, 1] of training."""
        return self.start * math.pow(self.end / self.start, progress)

    def learn(self, z: Tensor, progress: float, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Drawn codes for a batch, their tokens, and the penalty."""
        logits = self.logits(z)
        noise = -torch.empty_like(logits).exponential_(generator=generator).log()
        soft = ((logits + noise) / self.temperature(progress)).softmax(1)
        tokens = soft.argmax(1)
        hard = F.one_hot(tokens, soft.shape[1]).to(soft.dtype)
        penalty = self.kl_weight * divergence_from_even(logits).mean()
        return (hard - soft.detach() + soft) @ self.codes, tokens, penalty


def divergence_from_even(logits: Tensor) -> Tensor:
    """KL(softmax(logits) ‖ uniform) in nats, (n, codes) -> (n,), between 0 and log(codes)."""
    log_p = logits.log_softmax(1)
    return (log_p.exp() * log_p).sum(1) + math.log(logits.shape[1])


def perplexity(tokens: Tensor, size: int) -> float:
    """exp(entropy) of how often each code is used: between 1, one code, and ``size``, all evenly."""
    shares = torch.bincount(tokens.flatten(), minlength=size).double() / tokens.numel()
    return float(torch.special.entr(shares).sum().exp())


def usage(tokens: Tensor, size: int) -> float:
    """Share of the codes that are used at all."""
    return float((torch.bincount(tokens.flatten(), minlength=size) > 0).double().mean())
