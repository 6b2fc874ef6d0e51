"""The loss of a diffusion model: the squared error of what is predicted, weighted by the time."""

import torch
from torch import Generator, Tensor

from models.diffusion.config import Config
from models.diffusion.networks import Diffusion
from samplers import noise
from samplers.kernel import standard_normal
from samplers.noise import NoiseSchedule


def clean_error_weights(schedule: NoiseSchedule) -> Tensor:
    """Nats of the bound for each squared error of x̂₀ at the times 1 … T, (T,): half of what the signal-to-noise ratio loses.

    At t = 1, where the ratio before is infinite, that of the decoder of DDPM: a Gaussian with the variance β̃ of t = 2.
    """
    snr = schedule.snr()
    weights = (snr[:-1] - snr[1:]) / 2
    weights[0] = 1 / (2 * decoder_variance(schedule))
    return weights


def decoder_variance(schedule: NoiseSchedule) -> float:
    """Of an image given x_1, in DDPM's decoder."""
    one, two = float(schedule.alpha_bar[1]), float(schedule.alpha_bar[2])
    return (1 - one) / (1 - two) * (1 - two / one)


def weights(config: Config, schedule: NoiseSchedule) -> Tensor:
    """Of the squared error of the prediction at the times 0 … T, float32 (T + 1,); the first, of no time, is 0.

    min_snr: min(SNR, γ) for the image (Hang et al. 2023, arXiv:2303.09556). bound: divided so that, for ε, their mean is 1.
    """
    snr = schedule.snr()[1:]
    if config.weight == "simple":
        of_prediction = torch.ones_like(snr)
    else:
        if config.weight == "min_snr":
            of_clean = snr.clamp(max=config.gamma)
        else:
            of_clean = clean_error_weights(schedule)
            of_clean = of_clean / (of_clean / snr).mean()
        of_prediction = of_clean / {"epsilon": snr, "v": snr + 1, "clean": torch.ones_like(snr)}[config.prediction]
    return torch.cat([torch.zeros(1), of_prediction.float()])


def loss(
    config: Config, network: Diffusion, weights: Tensor, images: Tensor, labels: Tensor, generator: Generator
) -> Tensor:
    """Of a batch in [-1, 1] (n, *shape), each noised to a time of its own: one number each, (n,)."""
    n, device = len(images), images.device
    times = torch.randint(1, network.schedule.timesteps + 1, (n,), generator=generator, device=device)
    drawn = standard_normal(images, generator)
    told = None
    if config.labels:
        hidden = torch.rand(n, generator=generator, device=device) < config.label_dropout
        told = torch.where(hidden, config.classes, labels)
    mixing = network.schedule.at_each(times, images)
    output = network.unet(noise.noised(images, drawn, mixing), times, told)
    target = noise.target(config.prediction, images, drawn, mixing)
    errors: Tensor = weights[times] * (output - target).square().flatten(1).mean(1)
    return errors
