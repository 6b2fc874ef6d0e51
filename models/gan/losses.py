"""What either rival wants: losses from the critic's values (n,) of real and of generated images."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.gan.config import Config
from models.gan.f_divergences import DIVERGENCES

Values = Callable[[Tensor], Tensor]  # images (n, *shape) -> (n,)


def critic_loss(config: Config, real: Tensor, generated: Tensor) -> Tensor:
    """The critic's loss, without the penalty of wgan_gp."""
    if config.loss in ("bce", "minimax"):
        smooth = config.label_smoothing
        return (1 - smooth) * F.softplus(-real).mean() + smooth * F.softplus(real).mean() + F.softplus(generated).mean()
    if config.loss == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + generated).mean()
    if config.loss in DIVERGENCES:
        return -DIVERGENCES[config.loss].bound(real, generated)
    return generated.mean() - real.mean()


def generator_loss(config: Config, generated: Tensor) -> Tensor:
    """The generator's, of which it wants less.

    bce: −log D(G(z)), which has a gradient where minimax's log(1 − D(G(z))) has none. An f-divergence: the bound itself.
    Else −D(G(z)).
    """
    if config.loss == "bce":
        return F.softplus(-generated).mean()
    if config.loss == "minimax":
        return -F.softplus(generated).mean()
    if config.loss in DIVERGENCES:
        return -DIVERGENCES[config.loss].conjugate(generated).mean()
    return -generated.mean()


def between(real: Tensor, generated: Tensor, generator: Generator) -> Tensor:
    """Points on the lines between real and generated images, one a pair, evenly drawn."""
    share = torch.rand(len(real), 1, 1, 1, generator=generator, device=real.device)
    points: Tensor = torch.lerp(real, generated, share)
    return points


def gradients(critic: Values, images: Tensor, create_graph: bool = False) -> Tensor:
    """∇D at each image, flat, (n, pixels)."""
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=create_graph)
    return gradient.flatten(1)


def gradient_norms(critic: Values, images: Tensor, create_graph: bool = False) -> Tensor:
    """|∇D| at each image, (n,): 1 almost everywhere between the two sets for the best critic that is 1-Lipschitz."""
    norms: Tensor = gradients(critic, images, create_graph).norm(dim=1)
    return norms


def penalty(critic: Values, images: Tensor) -> Tensor:
    """E (|∇D| − 1)² at images (Gulrajani et al. 2017, arXiv:1704.00028)."""
    return (gradient_norms(critic, images, create_graph=True) - 1).square().mean()


def zero_penalty(critic: Values, images: Tensor) -> Tensor:
    """½ E |∇D|² at real images (R1 of Mescheder et al. 2018, arXiv:1801.04406)."""
    return gradients(critic, images, create_graph=True).square().sum(1).mean() / 2


def penalties(
    config: Config,
    update: int,
    critic: nn.Module,
    real: Tensor,
    generated: Tensor,
    labels: Tensor,
    generator: Generator,
) -> Iterator[Tensor]:
    """The penalties on gradients that the loss asks for in the generator's ``update``, weighted.

    R1 at every so many updates, and as much heavier, is the lazy regularisation of Karras et al. 2020, arXiv:1912.04958.
    """
    if config.loss == "wgan_gp":
        points = between(real, generated, generator)
        yield config.penalty * penalty(partial(critic, labels=labels), points)
    if config.zero_penalty and config.penalises_zero(update):
        half, weight = (len(real) + 1) // 2, config.zero_penalty * config.zero_penalty_every
        yield weight * zero_penalty(partial(critic, labels=labels[:half]), real[:half])


@torch.no_grad()
def clip(critic: nn.Module, bound: float) -> None:
    """Every parameter into [−bound, bound], as the authors of WGAN do it."""
    torch._foreach_clamp_min_(list(critic.parameters()), -bound)
    torch._foreach_clamp_max_(list(critic.parameters()), bound)


@torch.no_grad()
def share_at_clip(critic: nn.Module, bound: float) -> float:
    """Of the critic's weights, those within a hundredth of the clip."""
    weights = torch.cat([weight.flatten() for weight in critic.parameters()])
    return float((weights.abs() > 0.99 * bound).float().mean())
