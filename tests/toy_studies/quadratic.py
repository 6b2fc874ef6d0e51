"""A trainer without training: how close does x come to 0.3? Scalars, a checkpoint at every step, and some bad branches."""

import os
import signal
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
from pydantic import BaseModel, Field

from models.env import Env
from models.events import Checkpoint, Diverged, Event, Images, Progress, Scalars, Weights
from studies import ImageShape, Objective, Section, Study, Suggest


class Config(BaseModel, frozen=True, extra="forbid"):
    """Where to stand, and how long to take."""

    x: float = Field(0.5, ge=-10, le=10)
    mode: str = "good"
    steps: int = Field(5, ge=1)
    seconds: float = Field(0.0, ge=0)  # of each step
    evaluation: float = Field(0.0, ge=0)  # seconds of computing, without a word
    jitter: float = Field(0.0, ge=0)  # of the distance, by the seed
    journal: str = ""  # a file that gets a line "seed step time" for every step that is computed
    gate: str = ""  # a file: until it is there, a trial waits at half its steps, and still hears what it is told
    stem: str = ""  # begins the names of files that "once" leaves: a trial does that only in its first life


def base(shape: ImageShape) -> Config:
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    return base.model_copy(update={"x": suggest.suggest_float("x", -1.0, 1.0)})


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Config]:
    chance = env.generator("noise")
    first = 0
    if resume is not None:
        first = resume["step"]
        chance.set_state(resume["chance"])
    for step in range(first, config.steps):
        time.sleep(config.seconds)
        noise = float(torch.rand((), generator=chance))
        done = step + 1
        if config.journal:
            with open(config.journal, "a") as journal:
                journal.write(f"{env.seed} {done} {time.time()}\n")
        if done == 2 and (config.mode == "diverge" or config.mode == "left" and config.x < 0):
            raise Diverged("runaway", done, "it was told to")
        if config.mode == "crash" and done == 2:
            raise RuntimeError("it was told to")
        if config.mode == "hungry" and done == 2:
            torch.empty(2**60, dtype=torch.uint8)  # an exbibyte
        if done == 3 and config.mode in ("broken", "killed", "killed_once", "loop", "loop_once"):
            mark = f"{config.stem}{env.seed}"
            if "once" not in config.mode or not os.path.exists(mark):
                open(mark, "w").close() if "once" in config.mode else None
                while config.mode.startswith("loop"):
                    pass
                os.kill(os.getpid(), signal.SIGSEGV if config.mode == "broken" else signal.SIGKILL)
        yield Scalars(done, {"noise": noise})
        yield Scalars(done, {"distance": (config.x - 0.3) ** 2 + 1 / done + config.jitter * noise})
        yield Progress("training", done, config.steps)
        state = Checkpoint(done, lambda done=done: {"step": done, "chance": chance.get_state()})
        yield state
        while config.gate and done >= config.steps // 2 and not os.path.exists(config.gate):
            time.sleep(0.02)
            yield Progress("training", done, config.steps)
            yield state
    return config


def report(config: Config, env: Env) -> Iterator[Event]:
    yield Progress("evaluation", 0, 1)
    end = time.monotonic() + config.evaluation
    while time.monotonic() < end:
        sum(range(1000))
    yield Images(config.steps, "samples/fresh", torch.full((4, 1, 8, 8), max(-1.0, min(1.0, config.x))))
    yield Weights({"x": torch.tensor(config.x)})


def draw(config: Config, env: Env, weights: Mapping[str, torch.Tensor], n: int) -> Images:
    noise = torch.rand(n, 1, 8, 8, generator=env.generator("draw"))
    return Images(0, "samples/new", (weights["x"] + 0.1 * noise).clamp(-1, 1))


STUDY = Study(
    question=__doc__ or "",
    config=Config,
    base=base,
    space=space,
    train=train,
    report=report,
    objectives=(Objective("distance"),),
    sections=(Section("Distances", "How far from 0.3 it ends.", ("samples/fresh",), ("distance",)),),
    sample=draw,
    label="x = {x:.2f}",
    charts=("noise",),
    trials=6,
)
