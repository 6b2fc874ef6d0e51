"""A training at the size of a paper: its price in floating-point operations, then a sweep of one trial."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.data.dataset import Reader
from models.parts.training.cost import counted
from models.parts.training.workload import Workload
from studies import ImageShape


def flops(workload: Workload) -> float:
    """Of the whole training: a pass forward and the gradient, for each image of each update."""
    _, of_one = counted(lambda: workload.forward(1).sum().backward())
    return float(of_one) * workload.passes * workload.images


def main(
    file: str,
    description: str | None,
    data: str,
    base: Callable[[ImageShape], Any],
    workload: Callable[[Any, ImageShape], Workload],
) -> int:
    """Print the price of the recipe ``base`` and train the study in ``file``; its exit status. ``data`` by default."""
    name = Path(file).stem
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.published.{name}", description=description)
    parser.add_argument("--device", default="auto", help="as `sweep run` takes it")
    parser.add_argument("--data", default=data, help="a data set, as `sweep run` names it")
    parser.add_argument("--name", default=f"published-{name}", help="name of the sweep")
    parser.add_argument("--price", action="store_true", help="say the price alone")
    parser.add_argument("--yes", action="store_true", help="train even if it takes more than a day")
    options = parser.parse_args()
    shape = Reader(options.data, Path("data")).shape
    config = base(shape)
    print(f"{config.updates:,} updates are {flops(workload(config, shape)):.2g} FLOPs in the network", flush=True)
    if options.price:
        return 0
    words = ["run", file, "--name", options.name, "--data", options.data, "--device", options.device]
    words += ["--yes"] * options.yes
    print(f"sweep {shlex.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "orchestrator", *words], check=False).returncode
