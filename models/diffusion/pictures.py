"""A diffusion model in pictures: how images turn into noise and back, and what depends on steps, noise and guidance."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from models.data.dataset import Data
from models.diffusion.config import Config
from models.diffusion.drawing import draw, standard_noise, trajectory
from models.diffusion.networks import Diffusion
from models.env import Env
from models.events import Curve, Event, Images
from models.parts.evaluation.classes import in_turn
from samplers import noise
from samplers.kernel import standard_normal
from samplers.noise import noised

MOMENTS = 8  # of a trajectory, and of a forward process
ROWS = 4  # images whose trajectory is shown
LENGTHS = (5, 10, 20, 50, 100)  # steps from the same noise
COLUMNS = 8
STOPS = 9  # of an interpolation
WEIGHTS = (0.0, 1.0, 3.0, 6.0)  # of guidance


def all_of(config: Config, network: Diffusion, data: Data, env: Env, step: int) -> Iterator[Event]:
    """All pictures of a report."""
    generator = env.generator("pictures")
    yield forward_process(network, data, generator, step)
    yield denoised_step_by_step(config, network, data, generator, step)
    start = standard_noise(COLUMNS, data.shape, generator)
    yield same_noise(config, network, start, generator, step)
    yield interpolated(config, network, start, generator, step)
    yield signal_to_noise(network, step)
    if config.labels:
        yield guided(config, network, data, env, step)


def moments(timesteps: int) -> list[int]:
    """Times from T to 0 that are shown."""
    return [round(timesteps * part / (MOMENTS - 1)) for part in reversed(range(MOMENTS))]


def forward_process(network: Diffusion, data: Data, generator: Generator, step: int) -> Images:
    """A row for each of some validation images: from the image to noise, always by the same noise."""
    images = data.validation.floats()[:ROWS].to(generator.device)
    drawn = standard_normal(images, generator)
    times = moments(network.schedule.timesteps)[::-1]
    x = torch.stack([noised(images, drawn, network.schedule.at(time)) for time in times], 1)
    return Images(step, "samples/forward", x.flatten(0, 1).clamp(-1, 1).cpu(), columns=MOMENTS)


def denoised_step_by_step(config: Config, network: Diffusion, data: Data, generator: Generator, step: int) -> Images:
    """Two rows for each of some images: x_T … x_0, and below each the x̂₀ that the network saw in it."""
    start = standard_noise(ROWS, data.shape, generator)
    path = list(trajectory(network, config, start, generator))
    chosen = [path[round((len(path) - 1) * part / (MOMENTS - 1))] for part in range(MOMENTS)]
    pairs = torch.stack([torch.stack(pair, 1) for pair in chosen], 2)  # (images, x_t or x̂₀, moments, …)
    return Images(step, "samples/trajectory", pairs.flatten(0, 2).clamp(-1, 1).cpu(), columns=MOMENTS)


def same_noise(config: Config, network: Diffusion, start: Tensor, generator: Generator, step: int) -> Images:
    """A row for each number of steps of deterministic DDIM, from the same noise: what they agree on is the noise's."""
    lengths = [steps for steps in LENGTHS if steps <= config.timesteps]
    batches = [draw(network, deterministic(config, steps), start, generator) for steps in lengths]
    return Images(step, "samples/steps", torch.cat(batches).cpu(), columns=COLUMNS)


def interpolated(config: Config, network: Diffusion, start: Tensor, generator: Generator, step: int) -> Images:
    """A row for each of some noises: on the sphere from it to the next one, drawn by DDIM."""
    ends = start[: ROWS + 1]
    shares = torch.linspace(0, 1, STOPS, device=start.device)
    x = torch.stack(
        [torch.stack([slerp(a, b, float(share)) for share in shares]) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    )
    images = draw(network, deterministic(config, min(20, config.timesteps)), x.flatten(0, 1), generator)
    return Images(step, "samples/interpolation", images.cpu(), columns=STOPS)


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Between two noises along a great circle: a straight line would make noise of too small a norm."""
    angle = torch.arccos((a.flatten() @ b.flatten() / (a.norm() * b.norm())).clamp(-1, 1))
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


def guided(config: Config, network: Diffusion, data: Data, env: Env, step: int) -> Images:
    """A row for each weight of guidance, of the classes in turn, from the same noise."""
    start = standard_noise(config.classes, data.shape, env.generator("guidance"))
    labels = in_turn(config.classes, config.classes, env.device)
    batches = []
    for weight in WEIGHTS:
        settings = deterministic(config, min(20, config.timesteps)).model_copy(update={"guidance": weight})
        batches.append(draw(network, settings, start, env.generator("guidance"), labels))
    return Images(step, "samples/guidance", torch.cat(batches).cpu(), columns=config.classes)


def deterministic(config: Config, steps: int) -> Config:
    """The settings with DDIM's deterministic sampler of so many steps."""
    return config.model_copy(update={"sampler": "ddim", "eta": 0.0, "steps": steps, "guidance": 0.0, "label": None})


def signal_to_noise(network: Diffusion, step: int) -> Curve:
    """The logarithm of signal to noise at each time, of this schedule and of the others."""
    timesteps = network.schedule.timesteps
    lines = {name: noise.build(name, timesteps).snr()[1:].log10().tolist() for name in noise.SCHEDULES}
    x = [float(time) for time in range(1, timesteps + 1)]
    return Curve(step, "noise/signal_to_noise", x, lines, "t", "log₁₀ SNR")
