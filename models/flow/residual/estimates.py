"""How good the estimates of a flow's log-determinants are, on images: against the exact one where it can be computed.

All numbers are in bits per dimension of the whole flow: biases of blocks add, and so do variances, for blocks draw independently.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

from models.events import Curve, Event, Facts
from models.flow.block import Chain
from models.flow.config import Config
from models.flow.networks import Flow
from models.flow.residual import fixed_point, lipschitz
from models.flow.residual.block import Residual
from models.flow.residual.chain import estimator_of
from models.flow.residual.log_determinant import LARGEST, jacobian
from models.flow.residual.moments import Moments, Powers, largest_power, moments, summed
from models.flow.residual.tails import TAILS, Terms

IMAGES = 32  # whose Jacobians are computed
AT_ONCE = 8  # images whose powers are in memory
DRAWS = 16  # of the estimate of training
TERMS = (1, 2, 3, 4, 6, 8, 10, 15, 20)  # always computed ones, of the pictures
MOST_PROBES = 4  # of the pictures
FLOOR = 1e-7  # bits per dimension: a bias below it is drawn there, for the closed form leaves that much out


def exact(flow: Flow) -> bool:
    """Whether images are small enough for exact log-determinants."""
    return math.prod(flow.shape) <= LARGEST


def entered(flow: Flow, x: Tensor) -> Iterator[tuple[Residual, Tensor]]:
    """Each residual block of a flow, and what enters it for pixels x (n, channels, height, width)."""
    h, _ = flow.edge(x)
    for chain in flow.chains:
        assert isinstance(chain, Chain)
        for block in chain.blocks:
            if isinstance(block, Residual):
                yield block, h
                h = h + block.g(h)
            else:
                h, _ = block(h)


@torch.no_grad()
def powers(flow: Flow, x: Tensor, most: int) -> list[Powers]:
    """Of the Jacobian of each residual block at pixels x, up to the power ``most``. An image has at most LARGEST numbers."""
    blocks = []
    for block, h in entered(flow, x):
        parts = [Powers.of(jacobian(block.g, part)[1], most) for part in torch.split(h, AT_ONCE)]
        blocks.append(Powers(*(torch.cat(rows) for rows in zip(*parts, strict=True))))
    return blocks


def of_flow(blocks: Sequence[Powers], terms: Terms, probes: int) -> Moments:
    """Of the estimate of a whole flow's log-determinant, in nats, for each image."""
    return summed([moments(block, terms, probes) for block in blocks])


def in_bits(of_images: Moments, shape: Sequence[int]) -> tuple[float, float]:
    """The mean bias over images, and the root of the mean variance of one image, in bits per dimension."""
    unit = math.prod(shape) * math.log(2)
    return float(of_images.bias.mean()) / unit, math.sqrt(float(of_images.variance.mean())) / unit


def estimates(flow: Flow, config: Config, x: Tensor, generator: Generator) -> dict[str, float]:
    """Bias and deviation of the estimate of training on the first of the pixels x.

    ``logdet/bias`` and ``logdet/deviation`` are in closed form; ``…_of_draws`` of estimates that are really drawn, which must
    agree. ``logdet/jacobian_norm`` is the largest singular value of a block's Jacobian, which the norms of its layers only
    bound. Of a large image only the deviation is known, by draws.
    """
    x, shape, estimator = x[:IMAGES], flow.shape, estimator_of(config)
    samples = draws(flow, x, generator)
    unit = math.prod(shape) * math.log(2)
    deviation = float(samples.var(0).mean().sqrt()) / unit
    if not exact(flow):
        return {"logdet/deviation": deviation}
    blocks = powers(flow, x, largest_power(estimator.terms))
    bias, expected = in_bits(of_flow(blocks, estimator.terms, estimator.probes), shape)
    with torch.no_grad():
        reference = flow.eval().encode(x).log_determinant
    errors = (samples - reference).mean(1) / unit
    return {
        "logdet/bias": bias,
        "logdet/deviation": expected,
        "logdet/jacobian_norm": max(float(block.norm.max()) for block in blocks),
        "logdet/bias_of_draws": float(errors.mean()),
        "logdet/bias_of_draws_error": float(errors.std()) / math.sqrt(len(errors)),
        "logdet/deviation_of_draws": deviation,
    }


def draws(flow: Flow, x: Tensor, generator: Generator, times: int = DRAWS) -> Tensor:
    """Log-determinants of a flow as training estimates them, ``times`` for each of x: (times, n), in nats."""
    training = flow.training
    flow.train()
    with torch.no_grad():
        rows = torch.stack([flow.encode(x, generator=generator).log_determinant for _ in range(times)])
    flow.train(training)
    return rows.double()


@torch.no_grad()
def contraction(flow: Flow, x: Tensor) -> dict[str, float]:
    """Whether the blocks are contractive: the largest norm of a layer, and how well and fast the inverse is found at x."""
    inverses = [fixed_point.invert(block.g, h + block.g(h)) for block, h in entered(flow, x[:IMAGES])]
    return {
        "residual/layer_norm": lipschitz.largest_norm(flow),
        "residual/inverse_error": max(inverse.error for inverse in inverses),
        "residual/inverse_evaluations": float(max(inverse.evaluations for inverse in inverses)),
    }


def report(flow: Flow, config: Config, x: Tensor, step: int) -> Iterator[Event]:
    """What the log-determinants of evaluations are, and the pictures of estimators where an exact one is known."""
    if exact(flow):
        yield Facts({"logdet/reference": "exact"})
        yield from curves(flow, config, x, step)
        return
    yield Facts(
        {
            "logdet/reference": f"none: an image has {math.prod(flow.shape)} numbers, and a log-determinant is computed exactly "
            f"for at most {LARGEST}; bits per dimension are an estimate by 10 terms, a geometric tail and 4 probes"
        }
    )


def curves(flow: Flow, config: Config, x: Tensor, step: int) -> Iterator[Curve]:
    """Bias and deviation of every estimator over the number of terms that are always computed."""
    mean = config.tail_terms
    tails = {
        "cut": TAILS["none"](mean),
        "geometric tail": TAILS["geometric"](mean),
        "Poisson tail": TAILS["poisson"](mean),
    }
    most = max(largest_power(Terms(TERMS[-1], tail)) for tail in tails.values())
    blocks = powers(flow, x[:IMAGES], most)
    biases, deviations = dict[str, list[float]](), dict[str, list[float]]()
    for name, tail in tails.items():
        for probes in (1, MOST_PROBES):
            pairs = [in_bits(of_flow(blocks, Terms(n, tail), probes), flow.shape) for n in TERMS]
            biases[name] = [max(FLOOR, abs(bias)) for bias, _ in pairs]  # whatever the number of probes
            deviations[f"{name}, {probes} probe{'s' if probes > 1 else ''}"] = [deviation for _, deviation in pairs]
    x_label, unit = "terms that are always computed", "bits per dimension"
    terms = [float(n) for n in TERMS]
    yield Curve(step, "logdet/bias_by_terms", terms, biases, x_label, f"|bias|, {unit}", log_y=True)
    yield Curve(
        step, "logdet/deviation_by_terms", terms, deviations, x_label, f"deviation of one image, {unit}", log_y=True
    )
