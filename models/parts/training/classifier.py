"""How classifiers learn here: the judge, those that are held beside clusters, and those that will generate."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.data.dataset import floats
from models.parts.training import optimisation


class Step(NamedTuple):
    """What an update was made of."""

    done: int  # updates so far
    loss: Tensor
    logits: Tensor  # (n, classes)
    labels: Tensor  # (n,)


def learn(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    updates: int,
    batch_size: int,
    learning_rate: float,
    generator: Generator,
    vary: Callable[[Tensor], Tensor] = lambda images: images,
    warmup: int = optimisation.WARMUP,
    weight_decay: float = 0.0,
    least: float = 0.0,
) -> Iterator[Step]:
    """Teach ``network`` the ``labels`` of ``images``, all on its device, by Adam and cross-entropy.

    The rate falls to its ``least`` share. Images are bytes; what is no bytes, such as codes of images, is shown as it is.
    Batches are drawn by ``generator``; ``vary`` is what is done to images in [-1, 1] before they are shown. Yields after
    each update.
    """
    optimizer = torch.optim.Adam(network.parameters(), weight_decay=weight_decay)
    for update in range(updates):
        optimisation.set_learning_rate(
            optimizer, optimisation.learning_rate(learning_rate, update, updates, warmup, least)
        )
        indices = torch.randint(len(images), (batch_size,), generator=generator, device=images.device)
        batch, truth = images[indices], labels[indices]
        batch = vary(floats(batch) if batch.dtype == torch.uint8 else batch)
        with torch.enable_grad():  # whatever the caller has open
            logits = network(batch)
            loss = F.cross_entropy(logits, truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield Step(update + 1, loss, logits, truth)
