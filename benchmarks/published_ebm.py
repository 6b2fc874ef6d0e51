"""``python -m benchmarks.published_ebm [--device cuda] [--data NAME] [--yes]``: CIFAR-10 at the size of the paper.

Nine residual blocks and chains of 60 steps in a replay buffer of 10,000, after Du and Mordatch 2019, arXiv:1903.08689.
First it says what the training costs: its FLOPs, and how long this device takes for them. Beyond a day it does not
start without ``--yes``. Then it is a sweep of one trial, which ``sweep resume`` continues.
"""

import argparse
import shlex
import subprocess
import sys
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.ebm.config import Config
from models.ebm.networks import EnergyResNet, frozen, network
from samplers.kernel import energy_and_gradient

SHAPE = (3, 32, 32)
SETTINGS = {
    "blocks": 9,
    "width": 64,
    "n_steps": 60,
    "step_size": 10.0,
    "noise_start": 0.005,
    "grad_clip": 0.1,
    "start": "replay",
    "fresh_share": 0.05,
    "buffer_size": 10_000,
    "batch_size": 128,
    "learning_rate": 3e-4,
    "network_evaluations": 2_000_000,
    "precision": "auto",
}
DAY = 86_400  # seconds
IMAGES = 16  # of the batch that is timed
REPEATS = 3


def flops(config: Config) -> float:
    """Of the whole training: a forward pass and the gradient in x for each image of each evaluation of its budget."""
    net = network(config, SHAPE)
    x = torch.zeros(1, *SHAPE, requires_grad=True)
    with frozen(net), FlopCounterMode(display=False) as counter:
        net(x).sum().backward()
    return float(counter.get_total_flops()) * config.network_evaluations * config.chains


def seconds(config: Config, device: str) -> float:
    """What the device takes for the training, from a few small batches: an estimate, on the high side for a large GPU."""
    net = network(config, SHAPE).to(device)
    x = torch.zeros(IMAGES, *SHAPE, device=device)
    with frozen(net):
        _gradient(net, x)  # the first one also prepares the device
        began = time.perf_counter()
        for _ in range(REPEATS):
            _gradient(net, x)
    return (time.perf_counter() - began) / REPEATS / IMAGES * config.network_evaluations * config.chains


def _gradient(net: EnergyResNet, x: torch.Tensor) -> None:
    energy_and_gradient(net, x)[1].sum().item()  # waits for the device


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published_ebm", description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--data", default="cifar10", help="a data set of 32×32 colour images, as `sweep run` names it")
    parser.add_argument("--name", default="published-ebm", help="name of the sweep")
    parser.add_argument("--yes", action="store_true", help="train even if it takes more than a day")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"there is no device {options.device} here; take --device cpu")
    config = Config.model_validate(SETTINGS)
    taken = seconds(config, options.device)
    print(
        f"{config.updates:,} updates are {flops(config):.2g} FLOPs in the network, about {taken / DAY:.1f} days "
        f"on {options.device}"
    )
    if taken > DAY and not options.yes:
        print(
            "nothing was started: that is more than a day; add --yes to train all the same, or take a faster --device"
        )
        return 2
    settings = ["--yes", *(f"--set={name}={value}" for name, value in SETTINGS.items())]
    command = [
        "run",
        "ebm",
        "--name",
        options.name,
        "--data",
        options.data,
        "--device",
        options.device,
        "--trials",
        "1",
    ]
    print(f"sweep {shlex.join(command + settings)}", flush=True)
    return subprocess.run([sys.executable, "-m", "orchestrator", *command, *settings], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
