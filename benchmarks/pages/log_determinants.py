"""Residual flows on digits: bias and deviation of every estimator of the log-determinant, and what trains with it.

    python -m benchmarks.pages.log_determinants [SEED]

Three tables, a row as soon as it is measured; a training takes about half a minute of one core. Bias and deviation are in closed
form from Jacobians of 32 validation images, in thousandths of a bit per dimension. The last table of one seed says how far the
bits of trainings differ that only estimate otherwise.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import studies
from models.data import dataset as datasets
from models.env import Env
from models.flow import bits
from models.flow.config import Config
from models.flow.networks import Flow
from models.flow.residual import estimates
from models.flow.residual.moments import Powers, largest_power
from models.flow.residual.tails import TAILS, Terms
from models.flow.training import FlowLearner
from models.parts.training.cost import counted
from models.parts.training.optimisation import learning_rate, set_learning_rate

COEFFICIENTS = (0.5, 0.8, 0.97, 0.99)
CUT = (1, 2, 3, 5, 10)  # terms
TRAINED: tuple[dict[str, Any], ...] = (
    {"tail": "none", "exact_terms": 1},
    {"tail": "none", "exact_terms": 2},
    {"tail": "none", "exact_terms": 10},
    {"tail": "geometric", "exact_terms": 1},
    {"tail": "geometric", "exact_terms": 2},
    {"tail": "geometric", "exact_terms": 2, "probes": 4},
    {"tail": "geometric", "exact_terms": 2, "gradient": "series"},
    {"tail": "poisson", "exact_terms": 2},
)


def config(**changes: Any) -> Config:
    """The recipe of the study, changed."""
    return Config.model_validate(studies.load("residual_flow").base((1, 8, 8)).model_dump() | changes)


def trained(settings: Config, env: Env, data: datasets.Data) -> tuple[FlowLearner, float, int]:
    """A trained flow, the processor seconds of its updates, and the operations of the last."""
    learner = FlowLearner(settings, env, data, None)  # type: ignore[arg-type]
    begun = time.process_time()
    for index in range(settings.updates - 1):
        set_learning_rate(learner.optimizer, learning_rate(settings.learning_rate, index, settings.updates))
        learner.update(index)
    seconds = time.process_time() - begun
    _, flops = counted(lambda: learner.update(settings.updates - 1))
    learner.network.eval()
    return learner, seconds, flops


def validation_bits(flow: Flow, data: datasets.Data) -> float:
    """By exact log-determinants."""
    generator = torch.Generator().manual_seed(0)
    return bits.scores(flow, data.validation.floats(), generator)["likelihood/bits_per_dimension"]


def looked_at(flow: Flow, data: datasets.Data) -> torch.Tensor:
    """Pixels of the images whose Jacobians are computed."""
    generator = torch.Generator().manual_seed(0)
    return bits.pixels(data.validation.floats()[: estimates.IMAGES], int(flow.levels), generator)


def thousandths(blocks: list[Powers], terms: Terms, probes: int, flow: Flow) -> tuple[str, str]:
    """Bias and deviation of an estimator."""
    bias, deviation = estimates.in_bits(estimates.of_flow(blocks, terms, probes), flow.shape)
    return f"{1e3 * bias:+.4f}", f"{1e3 * deviation:.1f}"


def estimators(mean: float) -> Iterator[tuple[str, Terms]]:
    """Those of the second table."""
    for name, tail in (("cut", "none"), ("geometric", "geometric"), ("Poisson", "poisson")):
        for n in CUT:
            yield name, Terms(n, TAILS[tail](mean))


def main(seed: int) -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    env = Env("digits", seed, "cpu", Path("data"), Path(".sweeps/cache"))
    data, mean = datasets.load(env.data, env.data_folder), config().tail_terms
    cut = " | ".join(f"cut after {n}" for n in CUT)
    print(
        f"| coefficient | bits per dimension | largest norm of a Jacobian | {cut} | seconds |\n|{'---|' * (4 + len(CUT))}"
    )
    usual: tuple[Flow, list[Powers]] | None = None
    for coefficient in COEFFICIENTS:
        settings = config(coefficient=coefficient)
        learner, seconds, _ = trained(settings, env, data)
        flow, x = learner.network, looked_at(learner.network, data)
        most = largest_power(Terms(max(CUT), TAILS["geometric"](mean)))
        blocks = estimates.powers(flow, x, most)
        biases = [thousandths(blocks, Terms(n, TAILS["none"](mean)), 1, flow)[0] for n in CUT]
        norm = max(float(block.norm.max()) for block in blocks)
        row = [f"{coefficient}", f"{validation_bits(flow, data):.3f}", f"{norm:.2f}", *biases, f"{seconds:.0f}"]
        print(f"| {' | '.join(row)} |", flush=True)
        if coefficient == config().coefficient:
            usual = flow, blocks
    assert usual is not None
    flow, blocks = usual
    print(
        "\n| tail | exact terms | bias | deviation, 1 probe | 4 probes | products for 1 probe |\n|---|---|---|---|---|---|"
    )
    for name, terms in estimators(mean):
        (bias, one), (_, four) = thousandths(blocks, terms, 1, flow), thousandths(blocks, terms, 4, flow)
        products = terms.exact + (0 if name == "cut" else mean)
        print(f"| {name} | {terms.exact} | {bias} | {one} | {four} | {products:g} |", flush=True)
    print(
        "\n| trained with | bits per dimension | bias | deviation | GFLOP an update | seconds |\n|---|---|---|---|---|---|"
    )
    for changes in TRAINED:
        settings = config(**changes)
        learner, seconds, flops = trained(settings, env, data)
        flow = learner.network
        own = estimates.estimates(flow, settings, looked_at(flow, data), torch.Generator().manual_seed(1))
        row = [
            ", ".join(f"{key}={value}" for key, value in changes.items()),
            f"{validation_bits(flow, data):.3f}",
            f"{1e3 * own['logdet/bias']:+.4f}",
            f"{1e3 * own['logdet/deviation']:.1f}",
            f"{flops / 1e9:.2f}",
            f"{seconds:.0f}",
        ]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
