"""Langevin settings on a trained energy: chains from noise by a network that is not trained any more, scored and counted."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import greenlet
import torch
from pydantic import BaseModel, Field, model_validator
from safetensors.torch import load_file
from torch import Tensor, nn

from models.data import dataset as datasets
from models.ebm import config as _ebm_config
from models.ebm.chains import SAMPLERS, build
from models.ebm.config import BOUNDS
from models.env import Env
from models.events import Checkpoint, Compute, Curve, Diverged, Event, Facts, Images, Progress, Scalars
from models.parts.evaluation import judge as judges
from models.parts.evaluation.long_chains import energy_curve
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from models.parts.training import cache
from models.parts.training.energy_divergence import saturation
from samplers import schedules, starts
from samplers.kernel import energy_and_gradient, run

SHOWN = 64  # images in a grid
MOST = {"cpu": 512}  # chains in a call, by kind of device; more would be no faster there
MOST_ELSEWHERE = 8192
SEARCHED = tuple(name for name in SAMPLERS if name != "proximal")  # it targets no known law


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chains of a trained energy. Fields are in the order in which one would think of them."""

    model: str = Field("", description="folder of the trained network: its weights and what they are of")
    sampler: str = Field("langevin", description=f"of the chains: {' | '.join(SAMPLERS)}")
    step_size: float = Field(10.0, gt=0, description="a in x ← x − a∇E + s·noise")
    n_steps: int = Field(100, ge=1, description="of a chain, in evaluations of the network")
    friction: float = Field(
        1.0, ge=0, description="of sampler=underdamped: 1 / how many steps a velocity is remembered"
    )
    schedule: str = Field("constant", description=f"of the noise: {' | '.join(schedules.SHAPES)}")
    noise_start: float = Field(5e-3, ge=0, description="s at the beginning of a chain")
    noise_end: float = Field(5e-4, ge=0, description="s at its end, unless constant")
    coupled: bool = Field(False, description="step size follows the square of the noise, with the same mean")
    grad_clip: float | None = Field(0.1, gt=0, description="each element of ∇E is cut to ± this; none for no limit")
    samples: int = Field(256, ge=16, description="chains that are scored; FID depends on it")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.schedule not in schedules.SHAPES:
            raise ValueError(f"no schedule '{self.schedule}'; there are: {', '.join(schedules.SHAPES)}")
        if self.schedule == "geometric" and not (self.noise_start > 0 and self.noise_end > 0):
            raise ValueError("schedule=geometric needs noise_start and noise_end above 0; linear can reach 0")
        if self.coupled and self.noise_start == 0:
            raise ValueError("coupled needs noise_start above 0: the step size follows the noise")
        if self.sampler not in SAMPLERS:
            raise ValueError(f"no sampler '{self.sampler}'; there are: {', '.join(SAMPLERS)}")
        return self


@dataclass(frozen=True, eq=False)
class Bench:
    """All that trials on one network have in common; made once in a process."""

    trained: _ebm_config.Config
    network: nn.Module
    data: datasets.Data
    quality: Quality
    anchors: Mapping[str, float]
    real_energy: float  # mean over real images

    def energies(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Energies (n,) and their gradients (n, *shape)."""
        return energy_and_gradient(self.network, x)


@dataclass(frozen=True)
class Result:
    """Chains at their end."""

    config: Config
    bench: Bench
    cost: int  # evaluations of the network for each
    begin: Tensor
    end: Tensor
    energies: list[float]  # mean over the chains, before each step


def asking(x: Tensor) -> Tensor:
    """An energy (n,) at ``x`` that whoever runs this greenlet is asked for, with its gradient: its tangent there."""
    energy, gradient = greenlet.getcurrent().parent.switch(x.detach())
    tangent: Tensor = energy + ((x - x.detach()) * gradient).flatten(1).sum(1)
    return tangent


def answered(shared: Bench, most: int, act: Callable[[], Any]) -> Generator[Event, Any, Any]:
    """What ``act`` returns, whose every question to ``asking`` goes out as a wish: any kernel can so share a network."""
    acting = greenlet.greenlet(act)
    said = acting.switch()
    while not acting.dead:
        said = acting.switch((yield Compute(shared.energies, said, most)))
    return said


@lru_cache(maxsize=2)
def bench(model: str, data: str, data_folder: Path, cache_folder: Path, device: str, samples: int) -> Bench:
    """The trained network at ``model`` and what its samples are held against."""
    loaded = datasets.load(data, data_folder)
    trained, network = _trained(model, loaded.shape, device)
    judge = cache.at_once(judges.obtain(loaded, cache_folder, device))
    quality = Quality.of(judge, loaded, samples)
    chance = Env(data, 0, device).generator("anchors")
    noise = starts.uniform(samples, loaded.shape, BOUNDS, chance)
    real_images = loaded.train.floats(
        torch.randperm(len(loaded.train), generator=chance, device=device)[:samples].cpu()
    )
    anchors = {"fid/real": quality.fid(real_images), "fid/start": quality.fid(noise)}
    with torch.no_grad():
        real = float(network(loaded.validation.floats()[:samples].to(device)).mean())
    return Bench(trained, network, loaded, quality, anchors, real)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, Any, Result]:
    """Run the chains; nothing is trained. Raises Diverged."""
    shared = bench(config.model, env.data, env.data_folder, env.cache_folder, env.device, config.samples)
    data = shared.data
    chance = env.generator("chains")
    begin = starts.uniform(config.samples, data.shape, BOUNDS, chance)
    kernel, n_steps = build(_chain(config, shared.trained), asking, env, config.n_steps)
    most = MOST.get(torch.device(env.device).type, MOST_ELSEWHERE)
    state = yield from answered(shared, most, partial(kernel.init, begin))
    energies: list[Tensor] = []
    if resume is None:
        yield data.used
        yield Facts({"judge/hash": shared.quality.judge.digest, "model": config.model})
        yield Images(0, "samples/fresh", begin[:SHOWN])
    else:
        state = state._replace(position=resume["position"].to(env.device), step=resume["step"])
        chance.set_state(resume["chance"].cpu())
        energies = list(resume["energies"])
    for step in range(state.step, n_steps):
        state, info = yield from answered(shared, most, partial(kernel.step, state, chance))
        energies.append(info.energy.mean())
        yield Progress("chain", step + 1, n_steps)
        if set(state._fields) == {"position", "step"}:  # samplers that remember more begin anew, and end the same
            yield Checkpoint(step + 1, partial(_state, state, chance, energies))
    means = [float(one) for one in energies]
    lost = [k for k, value in enumerate(means) if not torch.tensor(value).isfinite()]
    if lost or not bool(state.position.isfinite().all()):
        raise Diverged("non_finite", lost[0] if lost else n_steps, "energies or positions are not finite")
    return Result(config, shared, n_steps * kernel.evaluations, begin, state.position, means)


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by the network that is named in the settings: ends of fresh chains. There are no ``weights``."""
    shape = datasets.load(env.data, env.data_folder).shape
    trained, network = _trained(config.model, shape, env.device)
    kernel, n_steps = build(_chain(config, trained), network, env, config.n_steps)
    chance = env.generator("chains")
    return Images(0, "samples/new", run(kernel, starts.uniform(n, shape, BOUNDS, chance), n_steps, chance)[0])


def _trained(model: str, shape: tuple[int, int, int], device: str) -> tuple[_ebm_config.Config, nn.Module]:
    about = json.loads(Path(model, "model.json").read_text())
    trained = _ebm_config.Config.model_validate(about["config"])
    weights = load_file(Path(model, "weights.safetensors"))
    return trained, restored(_ebm_config.network(trained, shape), weights, device)


def _chain(config: Config, trained: _ebm_config.Config) -> _ebm_config.Config:
    """The trained model's settings with our chains."""
    return trained.model_copy(update=config.model_dump(exclude={"model", "samples"}))


def _state(state: Any, chance: torch.Generator, energies: list[Tensor]) -> dict[str, Any]:
    return {
        "position": state.position,
        "step": state.step,
        "chance": chance.get_state(),
        "energies": torch.stack([one.cpu() for one in energies]),
    }


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their anchors and their cost, samples, and the energy along the chain."""
    config, shared, step = result.config, result.bench, result.config.n_steps
    yield Images(step, "samples/fresh", result.end[:SHOWN])
    scores = {"fid/fresh": shared.quality.fid(result.end)} | dict(shared.anchors)
    more = {"chain/energy_end": result.energies[-1], "chain/saturation": saturation(result.end)}
    moved = float((result.end - result.begin).flatten(1).norm(dim=1).mean())
    yield Scalars(step, scores | more | {"chain/distance": moved, "cost/network_evaluations": float(result.cost)})
    yield energy_curve(step, result.energies, shared.real_energy, "step", "mean energy")
    steps = range(config.n_steps)
    step_size, noise = _chain(config, shared.trained).schedules(step)
    values = {"step size a": [step_size(k) for k in steps], "noise s": [noise(k) for k in steps]}
    yield Curve(step, "chain/schedule", [float(k + 1) for k in steps], values, "step", "value", log_y=True)
