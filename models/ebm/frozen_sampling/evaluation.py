"""Scores of the chains of a trained energy beside their cost, and new images by such chains."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from models.data import dataset as datasets
from models.ebm.chains import build
from models.ebm.config import BOUNDS
from models.ebm.config import Config as TrainedConfig
from models.ebm.frozen_sampling.config import Config
from models.ebm.frozen_sampling.trained_network import TrainedNetwork, load_network
from models.env import Env
from models.events import Curve, Event, Images, Scalars
from models.parts.evaluation.long_chains import energy_curve
from models.parts.training.energy_divergence import saturation
from samplers import starts
from samplers.kernel import run

SHOWN = 64  # images in a grid


@dataclass(frozen=True)
class Result:
    """Chains at their end."""

    config: Config
    trained: TrainedNetwork
    cost: int  # evaluations of the network for each chain
    begin: Tensor
    end: Tensor
    energies: list[float]  # mean over the chains, before each step


def chain_config(config: Config, trained: TrainedConfig) -> TrainedConfig:
    """The trained model's settings, with the chains of ``config``."""
    return trained.model_copy(update=config.model_dump(exclude={"model", "samples"}) | {"rule": "cold"})


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by the network that is named in the settings: ends of fresh chains. There are no ``weights``."""
    shape = datasets.load(env.data, env.data_folder).shape
    trained, network = load_network(config.model, shape, env.device)
    kernel, n_steps = build(chain_config(config, trained), network, env, config.n_steps)
    generator = env.generator("chains")
    begin = starts.uniform(n, shape, BOUNDS, generator)
    return Images(0, "samples/new", run(kernel, begin, n_steps, generator)[0])


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their reference values and their cost, samples, and the energy along the chain."""
    config, trained, step = result.config, result.trained, result.config.n_steps
    yield Images(step, "samples/fresh", result.end[:SHOWN])
    scores = {"fid/fresh": trained.quality.fid(result.end)} | dict(trained.anchors)
    chain = {"chain/energy_end": result.energies[-1], "chain/saturation": saturation(result.end)}
    chain["chain/distance"] = float((result.end - result.begin).flatten(1).norm(dim=1).mean())
    yield Scalars(step, scores | chain | {"cost/network_evaluations": float(result.cost)})
    yield energy_curve(step, result.energies, trained.real_energy, "step", "mean energy")
    steps = range(config.n_steps)
    step_size, noise = chain_config(config, trained.config).schedules(step)
    lines = {"step size a": [step_size(k) for k in steps], "noise s": [noise(k) for k in steps]}
    yield Curve(step, "chain/schedule", [float(k + 1) for k in steps], lines, "step", "value", log_y=True)
