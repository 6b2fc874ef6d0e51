"""Settings of samplers on a frozen energy: many played together against the same ones played one after another.

The trials of `ebm_sampling` as a launcher plays them, with their scores, pictures and records on disk, on the first GPU or on all
cores; the settings are drawn from the study's own space, plain Langevin chains of all lengths. Sweep, Optuna and MLflow are left
out, for they cost the same either way. The network's weights are as they begin: what is timed does not depend on them.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks._figure import Figure, empty_folder
from models.data import dataset as datasets
from models.ebm import networks
from models.ebm.frozen_sampling.config import Config
from orchestrator.devices import Resources
from orchestrator.launchers.inline import InlineJob, InlineLauncher
from orchestrator.messages import Ended, Report, Task
from studies import ebm_sampling
from studies.ebm import base
from studies.parts import space as _space

TOGETHER, SETTINGS, REPEATS = 32, 64, 3
TARGET = 5.0  # times as many settings a minute, on a GPU


def measure(quick: bool = False) -> Iterator[Figure]:
    """Settings a minute, and the ratio."""
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    with empty_folder() as folder:
        model = _network(folder)
        configs = _settings(str(model), SETTINGS // 4 if quick else SETTINGS)
        _play(configs[:2], 2, device, folder / "warm")
        alone, together = [], []
        for repeat in range(1 if quick else REPEATS):
            alone.append(_play(configs, 1, device, folder / f"alone-{repeat}"))
            together.append(_play(configs, TOGETHER, device, folder / f"together-{repeat}"))
    one, many = (60 * len(configs) / median(seconds) for seconds in (alone, together))
    ratio = many / one
    where = f"on {device}, digits"
    yield Figure(f"settings of a sampler a minute, one after another, {where}", f"{one:.0f}")
    yield Figure(
        f"{TOGETHER} at a time",
        f"{many:.0f}, {ratio:.2f} times as many",
        f"> {TARGET:g} times on a GPU",
        ratio > TARGET if device != "cpu" else None,
    )


def _network(folder: Path) -> Path:
    shape = datasets.load("digits", folder).shape
    config = base(shape)
    torch.manual_seed(0)
    weights = networks.network(config, shape).state_dict()
    save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / "weights.safetensors")
    about = {"study": "ebm", "config": config.model_dump(mode="json")}
    (folder / "model.json").write_text(json.dumps(about))
    return folder


def _settings(model: str, n: int) -> list[dict[str, Any]]:
    recipe = ebm_sampling.base((1, 8, 8)).model_copy(update={"model": model})
    space = _space.fix(ebm_sampling.space, {"sampler": "langevin"})
    chance = random.Random(0)
    found: list[Config] = []
    for _ in range(n):
        asking = _space._Suggest(lambda name, parameter: chance.choice(parameter.grid(25)))
        found.append(space(asking, recipe))
    return [config.model_dump(mode="json") for config in found]


def _play(configs: Sequence[dict[str, Any]], slots: int, device: str, folder: Path) -> float:
    """Seconds for all, so many at a time."""
    launcher, waiting, jobs = (
        InlineLauncher(Resources((device,) * slots, 1)),
        list(enumerate(configs)),
        list[InlineJob](),
    )
    began = time.perf_counter()
    while waiting or jobs:
        while waiting and len(jobs) < slots:
            number, config = waiting.pop(0)
            jobs.append(launcher.launch(_task(number, config, device, folder)))
        launcher.wait(jobs, 0)
        for job in list(jobs):
            for message in job.hear():
                if isinstance(message, Report):
                    job.reply("go")
                if isinstance(message, Ended):
                    if message.outcome != "complete":
                        raise AssertionError(message)
                    jobs.remove(job)
    return time.perf_counter() - began


def _task(number: int, config: dict[str, Any], device: str, folder: Path) -> Task:
    mine = folder / f"trial-{number}"
    mine.mkdir(parents=True)
    return Task(
        sweep="benchmark",
        study="ebm_sampling",
        trial=number,
        config=config,
        data="digits",
        data_folder=str(folder),
        cache_folder=str(folder.parent / "cache"),
        folder=str(mine),
        seed=number,
        device=device,
        threads=torch.get_num_threads(),
    )
