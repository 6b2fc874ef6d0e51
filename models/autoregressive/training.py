"""Training of autoregressive models by maximum likelihood: each token given those before it, all at once."""

import math
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.autoregressive.config import Config, ImageGPTConfig
from models.autoregressive.divergence import DivergenceMonitor
from models.autoregressive.evaluation import Result, evaluate, introduce
from models.autoregressive.networks import check, network, place_nats, sequences
from models.autoregressive.references import independent_bits
from models.data import dataset as datasets
from models.env import Env
from models.events import Event
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.parts.training.augmentation import deform
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.cost import counted
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from models.parts.training.optimisation import seeded_init

LARGEST_GRADIENT = 1.0  # norm, of all weights together
BETAS = (0.9, 0.95)


class LikelihoodLearner:
    """A network that learns to predict the next token: a Learner of the training loop."""

    def __init__(self, config: Config, env: Env, data: datasets.Data, quality: Quality) -> None:
        self.config, self.env, self.data, self.quality = config, env, data, quality
        with seeded_init(env.generator("weights").initial_seed()):
            self.network = network(config, data.shape).to(env.device)
        if config.palette == "kmeans":
            self.network.tokens.fit(data.train.floats())
        self.optimizer = torch.optim.AdamW(_groups(self.network, config.weight_decay), config.learning_rate, BETAS)
        self.learning_rates = (LearningRate(self.optimizer, config.learning_rate, max(1, config.warmup)),)
        self.batches = Batches.of(data.train, config.batch_size, env.generator("batches"))
        self.deformation, self.dropout = env.generator("deformation"), env.generator("dropout")
        self.parts: dict[str, Part] = {"network": self.network, "optimizer": self.optimizer}
        self.parts |= {"batches": self.batches.generator, "deformation": self.deformation, "dropout": self.dropout}
        self.updates = config.updates if config.flops is None else self._affordable(config.flops)
        self.monitor, self.best = DivergenceMonitor(), math.inf
        self.independent = independent_bits(self.network, data)
        self.evaluations = (Evaluation(config.evaluations, self.evaluate),)

    def introduce(self) -> Iterator[Event]:
        yield from self.quality.introduce(self.data, self.network)
        yield from introduce(self.result(0), self.env)

    def update(self, index: int) -> Outcome:
        loss = self._loss(*self._batch())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()

        def measure() -> dict[str, float]:
            rate = self.optimizer.param_groups[0]["lr"]
            epochs = self.batches.epochs(index + 1)
            return {
                "loss/bits_per_dimension": loss.item(),
                "training/gradient_norm": float(norm),
                "training/learning_rate": rate,
                "training/epochs": epochs,
            }

        return Outcome(None, measure)

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        self.monitor = self.monitor.update(step, self.updates, measurements, self.config.levels)

    def evaluate(self, step: int) -> Generator[Event, None, None]:
        bits = yield from evaluate(self.result(step), self.env)
        self.monitor = self.monitor.update_validation(step, self.updates, bits, self.independent)
        self.best = min(self.best, bits)

    def extra_state(self) -> dict[str, Any]:
        return {"monitor": vars(self.monitor), "best": self.best}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.monitor, self.best = DivergenceMonitor(**state["monitor"]), state["best"]

    def result(self, step: int) -> Result:
        best = self.best
        return Result(self.config, self.network, self.data, self.quality, step, self.independent, best)

    def _batch(self) -> tuple[Tensor, Tensor]:
        images, labels = self.batches.draw()
        if self.config.deformation:
            images = deform(images, self.config.deformation, self.deformation)
        return self.network.tokens.encode(images), labels

    def _loss(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Bits per dimension of a batch."""
        sequence = sequences(self.network, tokens, labels)
        if isinstance(self.config, ImageGPTConfig):
            logits: Tensor = self.network(sequence, self.dropout)
        else:
            logits = self.network(sequence)
        pixels = math.prod(self.data.shape)
        return -place_nats(logits, tokens).sum(1).mean() / (pixels * math.log(2))

    def _affordable(self, flops: float) -> int:
        """Updates that cost no more than ``flops``, at least one. Counting them draws nothing and changes no weight."""
        device = self.env.device
        tokens = torch.zeros(self.config.batch_size, self.network.tokens.places, dtype=torch.int64, device=device)
        labels = torch.zeros(self.config.batch_size, dtype=torch.int64, device=device)
        states = {name: part.get_state() for name, part in self.parts.items() if isinstance(part, torch.Generator)}
        _, price = counted(partial(_backward, self, tokens, labels))
        self.optimizer.zero_grad()
        for name, state in states.items():
            part = self.parts[name]
            assert isinstance(part, torch.Generator)
            part.set_state(state)
        return max(1, int(flops // price))


def _backward(learner: LikelihoodLearner, tokens: Tensor, labels: Tensor) -> None:
    learner._loss(tokens, labels).backward()  # type: ignore[no-untyped-call]


def _groups(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights of layers decay; biases, norms and embeddings do not."""
    embeddings = {id(layer.weight) for layer in net.modules() if isinstance(layer, nn.Embedding)}
    decaying = [
        weight for name, weight in net.named_parameters()
        if weight.dim() > 1 and id(weight) not in embeddings and name not in ("bias", "place")
    ]  # fmt: skip
    ids = set(map(id, decaying))
    others = [weight for weight in net.parameters() if id(weight) not in ids]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    check(config, data)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples, config.inception_weights)
    learner = LikelihoodLearner(config, env, data, quality)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
