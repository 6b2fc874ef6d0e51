"""Evaluation of a denoising flow: distances to the surface beside those of denoisers that learn nothing, and pictures."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.clouds import dataset as clouds
from models.data.clouds.dataset import Clouds
from models.env import Env
from models.events import Curve, Event, Images, Progress, Scalars, Weights
from models.parts.networks.blocks import restored
from models.parts.training.reporting import finite
from models.points.config import Config
from models.points.networks import PointFlow, network
from models.points.noise import CORRUPTIONS, SEVERITIES, gaussian
from models.points.pictures import splat
from models.points.pointnet import Judge
from models.points.scores import BASELINES, SIGMAS, Benchmark, Denoiser, of_corruptions

BATCH = 8  # clouds at a time when nothing is learned
SHOWN = 6  # shapes in the picture, a row each
SHOWN_SIGMA = 0.03


@dataclass(frozen=True)
class Result:
    """A trained flow and what is needed to report on it."""

    config: Config
    network: PointFlow
    data: Clouds
    judge: Judge
    benchmark: Benchmark
    step: int


def denoiser(flow: PointFlow, device: str) -> Denoiser:
    """The flow for clouds on the processor, some at a time, without gradients."""

    @torch.no_grad()
    def denoise(noisy: Tensor) -> Tensor:
        return torch.cat([flow(part.to(device)).cpu() for part in torch.split(noisy, BATCH)])

    return denoise


def inverse_error(flow: PointFlow, noisy: Tensor) -> float:
    """The largest distance of decoded codes to what was encoded: coordinates, in units of a neighbourhood, and augmentation."""
    with torch.no_grad():
        graph = flow.graph(noisy)
        x, e, _ = flow.augmented(noisy, graph)
        code, _ = flow.encode(x, e, graph.indices)
        back = torch.cat(flow.decode(code, graph.indices), 2)
    return float((back - torch.cat([x, e], 2)).norm(dim=2).max())


def evaluate(result: Result, env: Env, noisy: Mapping[str, float]) -> Generator[Event, None, dict[str, float]]:
    """Scores of denoised validation clouds beside ``noisy`` ones, and a picture; returns the scores."""
    flow, benchmark = result.network, result.benchmark
    denoised = benchmark.by_sigma(denoiser(flow, env.device))
    values = benchmark.scores("denoised", denoised) | dict(noisy)
    values["flow/inverse_error"] = inverse_error(flow, benchmark.gaussian(SHOWN_SIGMA)[:BATCH].to(env.device))
    yield before_and_after(result, "samples/denoised", benchmark.gaussian(SHOWN_SIGMA), denoised[SHOWN_SIGMA])
    yield Scalars(result.step, finite(values))
    return values


def before_and_after(result: Result, key: str, noisy: Tensor, denoised: Tensor) -> Images:
    """A row for each shape: clean, noisy, on the planes of 8 neighbours, denoised; coloured by the distance to the surface."""
    benchmark = result.benchmark
    columns = benchmark.clean, noisy, BASELINES["plane_8"](noisy[:SHOWN]), denoised
    images = [
        splat(column[index], benchmark.to_surface(index, column[index]).sqrt())
        for index in range(min(SHOWN, benchmark.count))
        for column in columns
    ]
    return Images(result.step, key, torch.stack(images), columns=4)


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their baselines, by σ and by corruption, accuracy of the judge, pictures and the weights."""
    flow, benchmark, step = result.network, result.benchmark, result.step
    denoisers = {**BASELINES, "denoised": denoiser(flow, env.device)}
    yield Progress("evaluation", 0, 3)
    by_sigma = {name: benchmark.by_sigma(denoise) for name, denoise in denoisers.items()}
    values = benchmark.floor()
    for name, denoised in by_sigma.items():
        values |= benchmark.scores(name, denoised)
    values["flow/inverse_error"] = inverse_error(flow, benchmark.gaussian(SHOWN_SIGMA)[:BATCH].to(env.device))
    yield before_and_after(
        result, "samples/denoised", benchmark.gaussian(SHOWN_SIGMA), by_sigma["denoised"][SHOWN_SIGMA]
    )
    background = benchmark.corrupted("background", SEVERITIES[-1])[:SHOWN]
    yield before_and_after(result, "samples/background", background, denoisers["denoised"](background))
    yield Progress("evaluation", 1, 3)
    lines = {name: [values[f"surface_{sigma}/{name}"] for sigma in SIGMAS] for name in denoisers}
    yield Curve(step, "surface/by_sigma", SIGMAS, lines, "σ of the noise", "squared distance to the surface, 1e-4")
    yield Curve(step, "surface/by_iteration", *by_iteration(benchmark, denoisers["denoised"]))
    means, severities = of_corruptions(benchmark, denoisers)
    severity = [float(number) for number in SEVERITIES]
    for name, lines in severities.items():
        yield Curve(step, f"corruptions/{name}", severity, lines, "severity", "squared distance to the surface, 1e-4")
    yield Progress("evaluation", 2, 3)
    yield Scalars(step, finite(values | means | accuracies(result, by_sigma, denoisers["denoised"])))
    yield from histogram(benchmark, by_sigma, step)
    yield Weights.of(flow)
    yield Progress("evaluation", 3, 3)


def by_iteration(benchmark: Benchmark, denoise: Denoiser) -> tuple[list[float], dict[str, list[float]], str, str]:
    """Distances when the result is denoised again, for two σ: the x, lines and labels of a Curve."""
    lines = {}
    for sigma in SIGMAS[1::2]:
        cloud, values = benchmark.gaussian(sigma), list[float]()
        for _ in range(4):
            values.append(benchmark.surface(cloud))
            cloud = denoise(cloud)
        lines[f"σ = {sigma}"] = values
    return [0.0, 1.0, 2.0, 3.0], lines, "times denoised", "squared distance to the surface, 1e-4"


def accuracies(result: Result, by_sigma: Mapping[str, Mapping[float, Tensor]], denoise: Denoiser) -> dict[str, float]:
    """The judge's accuracy: ``accuracy/clean``, means over σ by denoiser, and of each corruption at severity 5.

    Where the data bring published noisy clouds, ``accuracy_stored/gaussian_3_noisy`` and ``…_denoised`` as well.
    """
    judge, benchmark = result.judge, result.benchmark
    values = {"accuracy/clean": judge.accuracy(benchmark.clean, benchmark.labels)}
    for name, clouds_of in by_sigma.items():
        each = [judge.accuracy(denoised, benchmark.labels) for denoised in clouds_of.values()]
        values[f"accuracy/{name}"] = sum(each) / len(each)
    for corruption in CORRUPTIONS:
        noisy = benchmark.corrupted(corruption, SEVERITIES[-1])
        values[f"accuracy_{corruption}/noisy"] = judge.accuracy(noisy, benchmark.labels)
        values[f"accuracy_{corruption}/denoised"] = judge.accuracy(denoise(noisy), benchmark.labels)
    for name, stored in benchmark.split.stored.items():
        noisy = torch.from_numpy(stored[: benchmark.count]).float()
        values[f"accuracy_stored/{name}_noisy"] = judge.accuracy(noisy, benchmark.labels)
        values[f"accuracy_stored/{name}_denoised"] = judge.accuracy(denoise(noisy), benchmark.labels)
    return values


def histogram(benchmark: Benchmark, by_sigma: Mapping[str, Mapping[float, Tensor]], step: int) -> Iterator[Event]:
    """Shares of points by their distance to the surface, not squared, at one σ."""
    edges = torch.linspace(0, 0.1, 26)
    lines = {}
    for name, clouds_of in by_sigma.items():
        distances = torch.cat(
            [benchmark.to_surface(index, cloud) for index, cloud in enumerate(clouds_of[SHOWN_SIGMA])]
        ).sqrt()
        counts = torch.histogram(distances.clamp(max=float(edges[-1])), edges).hist
        lines[name] = (counts / counts.sum()).tolist()
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    yield Curve(step, "surface/distances", middles, lines, f"distance to the surface at σ = {SHOWN_SIGMA}", "share")


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` images of test clouds, noisy on the left half and denoised on the right, with noise that nobody has seen."""
    data = clouds.load(env.data, env.data_folder)
    flow = restored(network(config), weights, env.device)
    generator = torch.Generator().manual_seed(env.generator("new").initial_seed())
    chosen = torch.randint(len(data.test), (n,), generator=generator)
    noisy = gaussian(data.test.clouds[chosen][:, : config.points], SHOWN_SIGMA, generator)
    benchmark = Benchmark(data.test, config.points, len(data.test), data.digest)
    images = []
    for index, before, after in zip(chosen.tolist(), noisy, denoiser(flow, env.device)(noisy), strict=True):
        pair = (splat(cloud, benchmark.to_surface(index, cloud).sqrt()) for cloud in (before, after))
        images.append(torch.cat(list(pair), 2))
    return Images(0, "samples/new", torch.stack(images), columns=4)
