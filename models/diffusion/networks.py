"""A U-Net that predicts from a noised image and its time what the noise was, and what draws images with it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.diffusion.config import Config
from models.parts.networks.attention import MultiHeadAttention
from models.parts.training.workload import Workload
from samplers import noise
from samplers.denoising import Denoiser

BATCH = 128  # images through the network at a time when nothing is learned
GROUPS = 8  # of a group normalisation, at most
TIMES = 1_000  # the embedding sees times as if there were so many


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer with all weights 0, so that a residual branch adds nothing at first."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer


def norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


def time_embedding(times: Tensor, width: int) -> Tensor:
    """Sines and cosines of times (n,), with wavelengths from 2π to 10,000 · 2π: (n, width)."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=times.device) / half)
    angles = times.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


class Residual(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))), where the time scales and shifts the second norm. The last layer begins at 0."""

    def __init__(self, channels_in: int, channels_out: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Sequential(norm(channels_in), nn.SiLU(), nn.Conv2d(channels_in, channels_out, 3, padding=1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * channels_out))
        self.norm = norm(channels_out)
        self.last = nn.Sequential(nn.SiLU(), zeroed(nn.Conv2d(channels_out, channels_out, 3, padding=1)))
        self.skip = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        y: Tensor = self.skip(x) + self.last(self.norm(self.first(x)) * (1 + scale) + shift)
        return y


class Attention(nn.Module):
    """Places of a map look at each other, and then a perceptron of each; both added to what is there, both 0 at first."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([norm(channels), norm(channels)])
        self.attention = MultiHeadAttention(channels, heads, causal=False)
        zeroed(self.attention.output)
        self.forward_layers = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1), nn.SiLU(), zeroed(nn.Conv2d(2 * channels, channels, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        places = self.norms[0](x).flatten(2).transpose(1, 2)
        x = x + self.attention(places).transpose(1, 2).unflatten(2, x.shape[2:])
        y: Tensor = x + self.forward_layers(self.norms[1](x))
        return y


class Stage(nn.Module):
    """Residual blocks of one size of map, each with attention behind it where ``heads`` is not 0."""

    def __init__(self, channels: list[tuple[int, int]], embedding: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Residual(before, after, embedding) for before, after in channels])
        self.attentions = nn.ModuleList([Attention(after, heads) for _, after in channels] if heads else [])

    def forward(self, x: Tensor, time: Tensor, skips: list[Tensor], upwards: bool) -> Tensor:
        """Each block adds its map to ``skips``, or takes one from there on the way up."""
        for index, block in enumerate(self.blocks):
            x = block(torch.cat([x, skips.pop()], 1) if upwards else x, time)
            if len(self.attentions):
                x = self.attentions[index](x)
            if not upwards:
                skips.append(x)
        return x


class UNet(nn.Module):
    """Noised images (n, channels, height, width), times 1 … T (n,) and classes (n,) to what the settings predict.

    Class number ``classes`` is "not told". The sides may be any that ``patch`` divides: maps are doubled to the size of
    their skip.
    """

    def __init__(self, config: Config, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, width = shape[0] * config.patch**2, config.width
        widths = [width, *[2 * width] * (config.levels - 1)]
        embedding = 4 * width
        self.patch, self.width, self.timesteps = config.patch, width, config.timesteps
        self.time = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label = nn.Embedding(config.classes + 1, embedding) if config.labels else None
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.downsample = nn.ModuleList(), nn.ModuleList()
        skips, before = [width], width
        for level, after in enumerate(widths):
            last = level == config.levels - 1
            pairs = [(before if index == 0 else after, after) for index in range(config.blocks)]
            self.down.append(Stage(pairs, embedding, config.heads if last else 0))
            skips += [after] * config.blocks
            if not last:
                self.downsample.append(nn.Conv2d(after, after, 3, 2, 1))
                skips.append(after)
            before = after
        self.middle, self.end = (Residual(before, before, embedding) for _ in range(2))
        self.attention = Attention(before, config.heads)
        self.up, self.upsample = nn.ModuleList(), nn.ModuleList()
        for level, after in reversed(list(enumerate(widths))):
            pairs = []
            for _ in range(config.blocks + 1):
                pairs.append((before + skips.pop(), after))
                before = after
            self.up.append(Stage(pairs, embedding, config.heads if level == config.levels - 1 else 0))
            if level:
                self.upsample.append(nn.Conv2d(after, after, 3, padding=1))
        self.last = nn.Sequential(norm(before), nn.SiLU(), zeroed(nn.Conv2d(before, channels, 3, padding=1)))

    def forward(self, x: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        time = self.time(time_embedding(times * (TIMES / self.timesteps), self.width))
        if self.label is not None:
            untold = torch.full_like(times, self.label.num_embeddings - 1, dtype=torch.long)
            time = time + self.label(untold if labels is None else labels)
        x = self.first(F.pixel_unshuffle(x, self.patch))
        skips = [x]
        for level, stage in enumerate(self.down):
            if level:
                x = self.downsample[level - 1](x)
                skips.append(x)
            x = stage(x, time, skips, upwards=False)
        x = self.end(self.attention(self.middle(x, time)), time)
        for level, stage in enumerate(self.up):
            if level:
                x = self.upsample[level - 1](F.interpolate(x, size=skips[-1].shape[2:]))
            x = stage(x, time, skips, upwards=True)
        y: Tensor = F.pixel_shuffle(self.last(x), self.patch)
        return y


class Diffusion(nn.Module):
    """A U-Net with its noise schedule. Called with noised images and their times, it says x̂₀, cut to [-1, 1].

    The time is one more channel, (n, channels + 1, height, width): a network that is kept takes one tensor. All steps from
    noise to image as one network would be ten copies of this one, and its export takes a minute.
    """

    def __init__(self, config: Config, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.unet, self.shape = UNet(config, shape), shape
        self.prediction, self.schedule = config.prediction, noise.build(config.schedule, config.timesteps)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # quicker on processors

    def clean(self, x: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        """x̂₀ of noised images (n, *shape) at a time each (n,)."""
        return noise.clean_of(self.prediction, self.unet(x, times, labels), x, self.schedule.at_each(times, x))

    def denoiser(self, labels: Tensor | None = None) -> Denoiser:
        """What samplers need, for images of ``labels`` (n,), or of any class. No gradients; a batch at a time."""

        def denoise(x: Tensor, time: int) -> Tensor:
            mixing = self.schedule.at(time)
            parts = torch.split(x, BATCH)
            told = [None] * len(parts) if labels is None else torch.split(labels, BATCH)
            outputs = [
                self.unet(part, torch.full((len(part),), time, device=x.device), label)
                for part, label in zip(parts, told, strict=True)
            ]
            return noise.clean_of(self.prediction, torch.cat(outputs), x, mixing)

        return torch.no_grad()(denoise)

    def forward(self, x: Tensor) -> Tensor:
        clean = self.clean(x[:, :-1], x[:, -1, 0, 0].round().long())
        return clean.clamp(-1, 1)


def takes(config: Config, shape: tuple[int, int, int]) -> tuple[int, ...]:
    """The shape of an input of the network: a noised image, and as one more channel its time, the same in all pixels."""
    return shape[0] + 1, *shape[1:]


def network(config: Config, shape: tuple[int, int, int]) -> Diffusion:
    """The untrained network for images of ``shape``; its weights come from torch's global generator."""
    return Diffusion(config, shape)


def workload(config: Config, shape: tuple[int, int, int]) -> Workload:
    """What the training computes, without its evaluations."""
    diffusion = network(config, shape)
    return Workload(
        config.updates, config.batch_size, lambda n: diffusion.unet(torch.zeros(n, *shape), torch.ones(n).long())
    )
