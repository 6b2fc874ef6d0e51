"""Images from noise by a trained network and the settings of a sampler."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.diffusion.networks import Diffusion
from models.diffusion.sampling import Sampling
from models.env import Env
from models.parts.evaluation.classes import in_turn
from models.parts.training.cost import counted
from samplers import denoising, noise
from samplers.denoising import CLIPS, Denoiser
from samplers.kernel import Kernel, iterate, run


def guided_denoiser(network: Diffusion, guidance: float, labels: Tensor | None) -> Denoiser:
    """For images of ``labels`` (n,), or of any class: then there is nothing to be guided by."""
    if labels is None:
        return network.denoiser()
    told = network.denoiser(labels)
    return denoising.guided(told, network.denoiser(), guidance) if guidance else told


def kernel(settings: Sampling, denoiser: Denoiser, schedule: noise.NoiseSchedule) -> Kernel:
    """The sampler that the settings name; it takes ``settings.steps`` steps from x_T."""
    times, clip = noise.times(settings.spacing, schedule, settings.steps), CLIPS[settings.clip]
    if settings.sampler == "ddpm":
        return denoising.ddpm(denoiser, schedule, times, clip=clip)
    if settings.sampler == "heun":
        return denoising.heun(denoiser, schedule, times, clip)
    if settings.sampler == "dpm_solver":
        return denoising.dpm_solver(denoiser, schedule, times, clip)
    predictor = denoising.ddim(denoiser, schedule, times, settings.eta, clip)
    if settings.sampler == "ddim":
        return predictor
    return denoising.corrected(predictor, denoiser, schedule, times, settings.corrector_size, clip=clip)


def draw(
    network: Diffusion, settings: Sampling, noise: Tensor, generator: Generator, labels: Tensor | None = None
) -> Tensor:
    """Images (n, *shape) in [-1, 1] from ``noise`` of that shape, of ``labels`` (n,), or of any class."""
    denoiser = guided_denoiser(network, settings.guidance, labels)
    images, _ = run(kernel(settings, denoiser, network.schedule), noise, settings.steps, generator)
    return images.clamp(-1, 1)


def trajectory(
    network: Diffusion, settings: Sampling, noise: Tensor, generator: Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """(x_t, x̂₀) before each step, and last the image twice."""
    x = noise
    for after, info in iterate(
        kernel(settings, network.denoiser(), network.schedule), noise, settings.steps, generator
    ):
        yield x, info.clean
        x = after
    yield x, x


def standard_noise(n: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """x_T (n, *shape) on the device of ``generator``."""
    return torch.empty(n, *shape, device=generator.device).normal_(generator=generator)


def asked_labels(settings: Sampling, known: int, n: int, device: str, first: int = 0) -> Tensor | None:
    """The class that the settings name (n,), or each in turn from image number ``first``; None where none is ``known``."""
    if not known:
        return None
    if settings.label is not None:
        return torch.full((n,), settings.label, device=device)
    return in_turn(n, known, device, first)


class Cost(NamedTuple):
    """What an image costs."""

    evaluations: int  # of the network
    flops: int

    @staticmethod
    def of(network: Diffusion, settings: Sampling, known: int, env: Env) -> "Cost":
        """Counted while one image is drawn."""
        calls = list[int]()
        hook = network.unet.register_forward_hook(lambda *_: calls.append(1))
        generator = env.generator("cost")
        noise = standard_noise(1, network.shape, generator)
        _, flops = counted(
            lambda: draw(network, settings, noise, generator, asked_labels(settings, known, 1, env.device))
        )
        hook.remove()
        return Cost(len(calls), flops)

    def scores(self) -> dict[str, float]:
        return {"cost/network_evaluations": float(self.evaluations), "cost/sample_flops": float(self.flops)}
