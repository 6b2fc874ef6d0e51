"""The settings of an energy-based model."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.effect import OnlyWith
from models.parts.settings import Activation, NamedFile, Noised, Penalised, Precision
from samplers import schedules
from samplers.schedules import Schedule

Sampler = Literal["langevin", "preconditioned", "underdamped", "mala", "hmc", "tempering", "proximal"]
Rule = Literal["cold", "textbook"]
CHAINS, NO_CHAINS = (OnlyWith("objective", [name]) for name in ("contrastive_divergence", "denoising_score"))

BOUNDS = (-1.0, 1.0)  # of every pixel of data, and of every chain but those of rule=textbook


class Config(BaseModel):
    """One energy-based model and how it is trained. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    blocks: int = Field(2, ge=1, le=64, description="residual blocks")
    width: int = Field(16, ge=1, le=1024, description="channels of the first stage; each later stage has twice as many")
    activation: Activation = Field("silu", description="of the network; smooth functions give smooth gradients")
    spectral_norm: bool = Field(False, description="spectral normalisation of every layer")
    precision: Precision = Field(
        "float32", description="of the inner layers; auto: bfloat16 where the hardware supports it"
    )

    sampler: Sampler = Field(
        "langevin",
        description="MCMC kernel of the chains",
    )
    rule: Rule = Field(
        "cold",
        description="of a step; cold: a, s and clipping as set. textbook: x ← x − (ε²/2)∇E(x) + ε·N(0, I) with noise_start, "
        "noise_end and schedule for ε, and nothing clipped; step_size, coupled and grad_clip then have no effect",
    )
    step_size: Annotated[float, OnlyWith("rule", ["cold"])] = Field(
        10.0, gt=0, description="a in x ← x − a∇E(x) + s·N(0, I), mean over a chain"
    )
    n_steps: int = Field(20, ge=1, le=10_000, description="length of a chain in one update, in network evaluations")
    friction: Annotated[float, OnlyWith("sampler", ["underdamped"])] = Field(
        1.0, ge=0, description="for sampler=underdamped: 1 / number of steps that a velocity lasts"
    )
    noise_start: float = Field(0.005, ge=0, description="s at the start of a chain")
    noise_end: Annotated[float, OnlyWith("schedule", ["geometric", "linear", "cosine"])] = Field(
        0.005, ge=0, description="s at the end of a chain; schedule=constant ignores it"
    )
    schedule: Literal["constant", "geometric", "linear", "cosine"] = Field(
        "constant", description="of the noise, from noise_start to noise_end"
    )
    coupled: Annotated[bool, OnlyWith("rule", ["cold"]), OnlyWith("schedule", ["geometric", "linear", "cosine"])] = (
        Field(False, description="step size follows the noise, a_t ∝ s_t²: constant temperature")
    )
    grad_clip: Annotated[float | None, OnlyWith("rule", ["cold"])] = Field(
        0.1, gt=0, description="clip each element of ∇E(x) to ± this"
    )

    start: Literal["noise", "replay"] = Field(
        "replay", description="where the chains of an update start: uniform noise, or a replay buffer"
    )
    fresh_share: Annotated[float, OnlyWith("start", ["replay"])] = Field(
        0.05, ge=0, le=1, description="share of replay chains that restart from noise"
    )
    buffer_size: Annotated[int, OnlyWith("start", ["replay"])] = Field(
        5_000, ge=1, description="chains in the replay buffer"
    )

    objective: Literal["contrastive_divergence", "denoising_score"] = Field(
        "contrastive_divergence",
        description="what is learned: to tell images from the ends of chains, or to take noise away, without chains in training",
    )
    least_noise: Annotated[float, NO_CHAINS] = Field(
        0.05, gt=0, description="smallest standard deviation of the noise that objective=denoising_score takes away"
    )
    most_noise: Annotated[float, NO_CHAINS] = Field(1.0, gt=0, description="largest standard deviation of that noise")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam, with warm-up; cosine decay to 1/20")
    energy_regularisation: Annotated[float, CHAINS] = Field(0.1, ge=0, description="α in L = E⁺ − E⁻ + α(E⁺² + E⁻²)")
    penalised_samples: Annotated[Penalised, CHAINS] = Field(
        "all", description="samples whose E⁻² counts in L: all, or those below zero alone"
    )
    parameter_grad_clip: float = Field(0.1, gt=0, description="maximum norm of the gradient of the weights")
    data_noise: Annotated[float, CHAINS] = Field(
        0.03, ge=0, description="standard deviation of the noise added to training images"
    )
    noised: Annotated[Noised, CHAINS] = Field(
        "data", description="images that get this noise: real ones only, or real ones and samples"
    )
    ema_decay: float = Field(
        0.995, ge=0, lt=1, description="decay of the averaged weights, which are sampled and saved"
    )
    batch_size: int = Field(64, ge=2, description="real images per update, and as many chains unless n_chains is given")
    n_chains: Annotated[int | None, CHAINS] = Field(
        None, ge=1, description="chains per update; None: as many as real images"
    )

    network_evaluations: int = Field(
        20_000, ge=1, description="budget, in batches through the network; one Langevin step is one"
    )
    evaluations: int = Field(4, ge=1, le=1000, description="number of evaluations, evenly over training")
    evaluation_samples: int = Field(256, ge=16, description="number of samples per evaluation; FID depends on it")
    inception_weights: NamedFile | None = Field(
        None, description="file with torch-fidelity's Inception weights, for fid/inception"
    )
    evaluation_length: int | None = Field(
        None,
        ge=1,
        description="chain length in evaluations, as a multiple of n_steps; None: 1 from noise, 10 with replay",
    )
    annealing_temperatures: int = Field(
        0,
        ge=0,
        description="temperatures of annealed importance sampling, for the likelihood in the final report; 0: no likelihood",
    )

    @property
    def chains(self) -> int:
        """Chains per update."""
        return self.n_chains or self.batch_size

    @property
    def update_cost(self) -> float:
        """What an update takes of the budget, in batches of chains: their steps, their ends and the real images.

        Without chains it is the energy's gradient, with the two passes that differentiate it.
        """
        if self.objective == "denoising_score":
            return 3.0
        return self.n_steps + 1 + self.batch_size / self.chains

    @property
    def updates(self) -> int:
        """Updates that the budget pays for."""
        return max(1, int(self.network_evaluations / self.update_cost))

    @property
    def evaluation_steps(self) -> int:
        """Steps of the chains that are scored: as many as training's chains have behind them.

        Chains from noise are n_steps old. A replayed chain is 1 / fresh_share updates old on average in the long run; ten
        is what a buffer reaches in a short training (measured: longer and shorter both score worse).
        """
        return self.n_steps * (self.evaluation_length or (1 if self.start == "noise" else 10))

    @property
    def clip(self) -> float | None:
        """What each element of ∇E(x) is cut to; None: not at all."""
        return None if self.rule == "textbook" else self.grad_clip

    @property
    def bounds(self) -> tuple[float, float] | None:
        """What each pixel of a chain is cut to; None: not at all."""
        return None if self.rule == "textbook" else BOUNDS

    @property
    def reach(self) -> float:
        """The farthest that clipped gradients can carry a pixel in one chain of training; infinite without clipping."""
        if self.clip is None:
            return math.inf
        step_size, _ = self.schedules(self.n_steps)
        return self.clip * sum(step_size(k) for k in range(self.n_steps))

    def schedules(self, n_steps: int) -> tuple[Schedule, Schedule]:
        """Step size and noise over a chain of ``n_steps``.

        Coupled or not, the mean step size is the same: what is compared is the shape, not how far a chain may go. The
        textbook rule is a_t = ε_t²/2, s_t = ε_t: temperature 1.
        """
        noise = schedules.build(self.schedule, self.noise_start, self.noise_end, n_steps)
        if self.rule == "textbook":
            return lambda step: noise(step) ** 2 / 2, noise
        if not self.coupled:
            return lambda step: self.step_size, noise
        scale = self.step_size * n_steps / sum(noise(k) ** 2 for k in range(n_steps))
        return lambda step: scale * noise(step) ** 2, noise

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.coupled and self.noise_start == 0:
            raise ValueError("coupled needs noise_start above 0: the step size follows the noise")
        if self.rule == "textbook" and self.sampler != "langevin":
            raise ValueError(f"rule=textbook is Langevin dynamics; take sampler=langevin, not {self.sampler}")
        if self.rule == "textbook" and self.noise_start == 0:
            raise ValueError("rule=textbook needs noise_start above 0: it is ε, and chains with ε = 0 do not move")
        if self.schedule == "geometric" and not (self.noise_start > 0 and self.noise_end > 0):
            raise ValueError("schedule=geometric needs noise_start and noise_end above 0; linear can reach 0")
        if self.sampler in ("mala", "hmc", "tempering") and min(self.noise_start, self.noise_end) == 0:
            raise ValueError(f"sampler={self.sampler} needs noise_start and noise_end above 0, for its temperature")
        if self.sampler == "proximal" and self.grad_clip is None:
            raise ValueError("sampler=proximal needs grad_clip: it is what its steps are cut to")
        width = BOUNDS[1] - BOUNDS[0]
        if self.reach < width * (1 - 1e-9):
            raise ValueError(
                f"chains cannot cross the data range: steps of at most step_size × grad_clip carry a pixel {self.reach:.2g} "
                f"of the {width:g} from black to white; raise step_size, n_steps or grad_clip"
            )
        if self.objective == "denoising_score" and self.start == "replay":
            raise ValueError(
                "objective=denoising_score trains without chains, so none can be replayed; take start=noise"
            )
        if self.least_noise > self.most_noise:
            raise ValueError(f"least_noise={self.least_noise:g} is above most_noise={self.most_noise:g}; swap them")
        if self.chains > self.batch_size:
            raise ValueError(f"n_chains={self.chains} is above batch_size={self.batch_size}; lower it")
        if self.start == "replay" and self.buffer_size < self.chains:
            raise ValueError(f"buffer_size={self.buffer_size} is below the {self.chains} chains of an update; raise it")
        return self
