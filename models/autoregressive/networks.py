"""The networks of the family behind one interface, and the probability of images under them."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models.autoregressive.bayes_net import BayesNet
from models.autoregressive.config import BayesNetConfig, Config, ImageGPTConfig
from models.autoregressive.transformer import ImageGPT
from models.data.dataset import Data, DataError
from models.parts.evaluation import needs
from models.parts.networks.blocks import restored
from models.parts.training.workload import Workload

Network = BayesNet | ImageGPT
BATCH = 128  # images through the network at a time, where nothing is learned


def network(config: Config, shape: tuple[int, int, int]) -> Network:
    """The untrained network for images of ``shape``; its weights come from torch's global generator."""
    if isinstance(config, BayesNetConfig):
        return BayesNet(config, shape)
    assert isinstance(config, ImageGPTConfig)
    return ImageGPT(config, shape)


def check(config: Config, data: Data) -> None:
    """Raises DataError where the network cannot write images of these data."""
    needs.refuse(data, config.inception_weights)
    channels, height, width = data.shape
    if channels != 1:
        raise DataError(
            f"{data.name} has images in colour, and these models write grey ones; choose grey data, such as mnist"
        )
    if height % config.patch_side or width % config.patch_side:
        raise DataError(f"images of {height}×{width} do not divide into patches of 2×2; set patch=1")
    classes = config.classes if isinstance(config, ImageGPTConfig) else 0
    if 0 < classes < len(data.classes):
        raise DataError(
            f"{data.name} has {len(data.classes)} classes and classes={classes}; set classes={len(data.classes)}"
        )


def takes(config: Config, shape: tuple[int, int, int]) -> tuple[int, ...]:
    """The shape of what the network is given for an image: its tokens, after its class where the network knows any."""
    classes = config.classes if isinstance(config, ImageGPTConfig) else 0
    return (shape[1] // config.patch_side * (shape[2] // config.patch_side) + bool(classes),)


def n_classes(net: Network) -> int:
    """How many classes the network tells apart; 0: none."""
    return net.config.classes if isinstance(net, ImageGPT) else 0


def sequences(net: Network, tokens: Tensor, labels: Tensor) -> Tensor:
    """What the network is given of tokens (n, places) and their labels (n,)."""
    return torch.cat([labels[:, None], tokens], 1) if n_classes(net) else tokens


def place_nats(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log probabilities (n, places) of tokens by logits (n, places, vocabulary)."""
    if logits.shape[-1] == 2:  # several times faster than a softmax over two
        odds = logits[..., 1] - logits[..., 0]
        return F.logsigmoid(torch.where(tokens == 1, odds, -odds))
    return -F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)


def nats_by_place(net: Network, tokens: Tensor) -> Tensor:
    """log P(token | those before it), (n, places), without gradients. Classes are equally likely, and summed over."""
    with torch.no_grad():
        return torch.cat([_nats_by_place(net, batch) for batch in torch.split(tokens, BATCH)])


def _nats_by_place(net: Network, tokens: Tensor) -> Tensor:
    classes = n_classes(net)
    if not classes:
        return place_nats(net(tokens), tokens).double()
    by_class = torch.stack([place_nats(net(sequences(net, tokens, label.expand(len(tokens)))), tokens).double()
                            for label in torch.arange(classes, device=tokens.device)])  # fmt: skip
    # P(x up to i) = mean over classes of P(x up to i | class); the conditional probability is a ratio of two of them.
    joint = by_class.cumsum(2).logsumexp(0) - math.log(classes)
    return torch.cat([joint[:, :1], joint.diff(dim=1)], 1)


def class_nats(net: Network, tokens: Tensor) -> Tensor:
    """log P(image | class), (n, classes), of a network that knows classes."""
    labels = torch.arange(n_classes(net), device=tokens.device)
    with torch.no_grad():
        rows = [
            torch.stack(
                [place_nats(net(sequences(net, batch, label.expand(len(batch)))), batch).sum(1) for label in labels], 1
            )
            for batch in torch.split(tokens, BATCH)
        ]
    return torch.cat(rows)


def load(config: Config, shape: tuple[int, int, int], weights: dict[str, Tensor], device: str) -> Network:
    """A trained network, for use alone."""
    return restored(network(config, shape), weights, device)


def workload(config: Config, shape: tuple[int, int, int]) -> Workload:
    """What its training computes."""
    net, length = network(config, shape), takes(config, shape)

    def forward(n: int) -> Tensor:
        logits: Tensor = net(torch.zeros(n, *length, dtype=torch.int64))
        return logits

    return Workload(config.updates, config.batch_size, forward)
