"""How much accuracy attacks leave: to the head on the code, to the judge, and to the judge behind the autoencoder.

A defence must be attacked as a whole. An attack on the judge alone (grey box) does not know that the autoencoder stands before
it, and flatters the autoencoder: Athalye et al. 2018, arXiv:1802.00420.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from models.data.dataset import Data
from models.env import Env
from models.events import Curve, Event, Images, Scalars
from models.parts.evaluation.attacks import fgsm, pgd
from models.parts.evaluation.judge import Judge
from models.vae.networks import Autoencoder

WIDTH = 2.0  # of the range of a pixel
EPSILONS = (0.0, 4 / 255, 8 / 255, 16 / 255, 32 / 255)  # shares of the range of a pixel
NAMED = 16 / 255  # the ε of the numbers that are reported
IMAGES = 256  # validation images that are attacked, at most
SHOWN = 8


class _Head(nn.Module):
    """Images -> logits, by the mean of their codes: randomness would hide the gradient, not withstand attacks."""

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        assert self.network.head is not None
        logits: Tensor = self.network.head(self.network.posterior(images).mean)
        return logits


class _Purified(nn.Module):
    """Images -> logits of the judge for their reconstructions."""

    def __init__(self, network: Autoencoder, judge: nn.Module) -> None:
        super().__init__()
        self.network, self.judge = network, judge

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.judge(purified(self.network, images))
        return logits


def purified(network: Autoencoder, images: Tensor) -> Tensor:
    """Reconstructions, with gradients."""
    decoded: Tensor = network(network.posterior(images).mean)
    return decoded


def attacked(network: Autoencoder, judge: Judge, data: Data, n: int, env: Env, step: int) -> Iterator[Event]:
    """Accuracy over ε of the first ``n`` validation images, moved against each, and pictures of moved and purified ones."""
    split, n = data.validation, min(n, IMAGES)
    x, labels = split.floats()[:n].to(env.device), split.labels[:n].to(env.device)
    network.requires_grad_(False)
    defended = _Purified(network, judge.network)
    victims: dict[str, tuple[nn.Module, nn.Module]] = {  # what is attacked, and what then reads
        "head on the code": (_head := _Head(network), _head),
        "judge": (judge.network, judge.network),
        "judge behind the autoencoder, attack on both": (defended, defended),
        "judge behind the autoencoder, attack on the judge alone": (judge.network, defended),
    }
    generator = env.generator("attacks")
    lines: dict[str, list[float]] = {}
    for name, (victim, reader) in victims.items():
        for attack, move in _attacks(victim, x, labels, generator).items():
            lines[f"{name}: {attack}"] = [_accuracy(reader, move(WIDTH * epsilon), labels) for epsilon in EPSILONS]
    yield Curve(
        step, "adversarial/accuracy", EPSILONS, lines, "ε, in shares of the range of a pixel", "share read right"
    )
    moved = pgd(judge.network, x[:SHOWN], labels[:SHOWN], WIDTH * NAMED, generator)
    with torch.no_grad():
        rows = torch.cat([x[:SHOWN], moved, purified(network, moved)])
    yield Images(step, "samples/attacked", rows, columns=SHOWN)
    at = EPSILONS.index(NAMED)
    names = dict(zip(("", "judge_", "purified_", "purified_grey_box_"), victims, strict=True))
    values = {
        f"adversarial/{prefix}{attack}": lines[f"{name}: {attack.upper()}"][at]
        for prefix, name in names.items()
        for attack in ("fgsm", "pgd")
    }
    yield Scalars(step, values)
    network.requires_grad_(True)


def _attacks(
    victim: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator
) -> dict[str, Callable[[float], Tensor]]:
    return {
        "FGSM": lambda epsilon: fgsm(victim, x, labels, epsilon),
        "PGD": lambda epsilon: pgd(victim, x, labels, epsilon, generator),
    }


def _accuracy(reader: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((reader(images).argmax(1) == labels).float().mean())
