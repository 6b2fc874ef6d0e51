"""Image GPT with its memory of keys and values, against the same network that reads the whole sequence again at every place.

Tokens of 28×28 images by both patches of the study, with the study's own size; one thread and processor time. That both
write the same images is seen first. Without a memory only the tokens so far have to be read, so a careful program without
one would need about half of what is timed here; the target is for the plain one.
"""

import time
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from benchmarks._figure import Figure
from models.autoregressive.config import ImageGPTConfig
from models.autoregressive.sampling import draw_tokens
from models.autoregressive.transformer import ImageGPT
from studies.image_gpt import base

SHAPE = (1, 28, 28)
IMAGES = 16
TARGET = 20.0


def measure(quick: bool = False) -> Iterator[Figure]:
    """Images a second with the memory, and the ratio, for each patch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for patch in (2, 1):
            yield _against(ImageGPTConfig.model_validate(base(SHAPE).model_dump() | {"patch": patch}), quick)
    finally:
        torch.set_num_threads(threads)


def _against(config: ImageGPTConfig, quick: bool) -> Figure:
    torch.manual_seed(0)
    net, images = ImageGPT(config, SHAPE).requires_grad_(False), 2 if quick else IMAGES
    begun = time.process_time()
    tokens = draw_tokens(net, images, Generator().manual_seed(0))
    middle = time.process_time()
    again = _read_again(net, images, Generator().manual_seed(0))
    end = time.process_time()
    assert torch.equal(tokens, again), "both ways have to write the same images"
    ratio = (end - middle) / (middle - begun)
    return Figure(
        f"images a second with keys and values kept, {net.tokens.places} tokens, {images} at a time",
        f"{images / (middle - begun):.2g}, {ratio:.0f} times as many as without",
        f"≥ {TARGET:g} times",
        ratio >= TARGET,
    )


def _read_again(net: ImageGPT, images: int, generator: Generator) -> Tensor:
    tokens = torch.zeros(images, net.tokens.places, dtype=torch.int64)
    for place in range(net.tokens.places):
        law = net(tokens)[:, place].softmax(1)
        tokens[:, place] = torch.multinomial(law, 1, generator=generator)[:, 0]
    return tokens
