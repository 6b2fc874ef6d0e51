"""Chains of a frozen energy: the same alone and together, and as the sampler itself would run them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from models.ebm import networks
from models.ebm.chains import KERNELS, chains
from models.ebm.config import BOUNDS
from models.ebm.config import Config as TrainedConfig
from models.ebm.frozen_sampling import evaluation, trained_network, training
from models.ebm.frozen_sampling.config import Config
from models.env import Env
from models.events import Compute, Curve, Diverged, Event, Scalars
from orchestrator.launchers.inline import compute
from samplers import starts
from tests.support.playing import finished
from tests.support.promises import check

SHAPE = (1, 8, 8)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A network of random weights, as a sweep leaves it."""
    config = TrainedConfig(blocks=1, width=4)
    torch.manual_seed(0)
    network = networks.network(config, SHAPE)
    save_file(
        {name: weight.contiguous() for name, weight in network.state_dict().items()}, tmp_path / "weights.safetensors"
    )
    (tmp_path / "model.json").write_text(json.dumps({"study": "ebm", "config": config.model_dump(mode="json")}))
    return str(tmp_path)


@pytest.mark.parametrize("sampler", KERNELS)
def test_the_chain_is_the_samplers_own(model: str, cache_folder: Path, sampler: str) -> None:
    config = Config(model=model, n_steps=15, samples=16, schedule="linear", noise_start=0.05, sampler=sampler)
    env = Env("digits", 3, cache_folder=cache_folder)
    result = finished(training.train(config, env))
    chance = env.generator("chains")
    begin = starts.uniform(16, SHAPE, BOUNDS, chance)
    chain = result.trained.config.model_copy(update=config.model_dump(exclude={"model", "samples"}))
    end, _ = chains(chain, result.trained.network, env, begin, 15, chance)
    assert result.cost == 15 and len(result.energies) == 15 // KERNELS[sampler][1], "at equal evaluations"
    torch.testing.assert_close(result.end, end, rtol=0, atol=0)


def test_new_images_are_the_ends_of_chains(model: str, cache_folder: Path) -> None:
    config = Config(model=model, n_steps=4, samples=16)
    env = Env("digits", 3, cache_folder=cache_folder)
    drawn = evaluation.draw(config, env, {}, 5)
    trained, network = trained_network.load_network(model, SHAPE, "cpu")
    chance = env.generator("chains")
    begin = starts.uniform(5, SHAPE, BOUNDS, chance)
    end, _ = chains(evaluation.chain_config(config, trained), network, env, begin, 4, chance)
    torch.testing.assert_close(drawn.images, end)


def test_chains_are_the_same_together_as_alone(model: str, cache_folder: Path) -> None:
    """But for the order of sums: a batch of another size is another program."""
    kinds = (("langevin", 5, 3.0), ("mala", 12, 30.0), ("underdamped", 8, 10.0))
    configs = [Config(model=model, n_steps=n, samples=16, step_size=a, sampler=kind) for kind, n, a in kinds]
    envs = [Env("digits", seed, cache_folder=cache_folder) for seed in range(3)]
    lanes = [training.train(config, env) for config, env in zip(configs, envs, strict=True)]
    wishes: dict[int, Compute] = {}
    answers: list[Any] = [None] * 3
    results: dict[int, evaluation.Result] = {}
    calls = 0
    while len(results) < 3:
        for i, lane in enumerate(lanes):
            while i not in results and i not in wishes:
                try:
                    event = lane.send(answers[i])
                except StopIteration as end:
                    results[i] = end.value
                    break
                answers[i] = None
                if isinstance(event, Compute):
                    wishes[i] = event
        granted = compute(list(wishes.values()))
        calls += bool(wishes)
        for i, result in zip(list(wishes), granted, strict=True):
            answers[i] = result
            del wishes[i]
    assert calls == 12 + 1, "as many as the longest chain has steps, and the energy that MALA begins with"
    for i in range(3):
        torch.testing.assert_close(
            results[i].end, finished(training.train(configs[i], envs[i])).end, rtol=1e-4, atol=1e-4
        )


def test_the_report_tells_quality_and_cost(model: str, cache_folder: Path) -> None:
    env = Env("digits", 0, cache_folder=cache_folder)
    trained: list[Event] = []
    result = finished(training.train(Config(model=model, n_steps=7, samples=16), env), trained.append)
    said = list(evaluation.report(result, env))
    check([*trained, *said])
    (scalars,) = [event for event in said if isinstance(event, Scalars)]
    assert scalars.values["cost/network_evaluations"] == 7
    assert {"fid/fresh", "fid/real", "fid/start"} <= scalars.values.keys()
    (energies,) = [event for event in said if isinstance(event, Curve) and event.key == "chain/energy"]
    assert len(energies.x) == 7


def test_chains_that_leave_the_numbers_are_a_divergence(
    model: str, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(model=model, n_steps=3, samples=16, grad_clip=None)
    real = trained_network.energy_and_gradient

    def broken(energy: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        e, gradient = real(energy, x)
        return e * torch.inf, gradient

    monkeypatch.setattr(trained_network, "energy_and_gradient", broken)
    with pytest.raises(Diverged, match="non_finite at step 0"):
        finished(training.train(config, Env("digits", 0, cache_folder=cache_folder)))


@pytest.mark.parametrize(
    ("energies", "position", "step"),
    [
        ([1.0, 2.0], math.nan, 2),  # nothing computes an energy after the last step
        ([1.0, math.inf], math.nan, 1),
        ([math.nan, math.inf], 0.0, 0),
    ],
)
def test_the_first_step_that_is_not_finite_is_named(energies: list[float], position: float, step: int) -> None:
    with pytest.raises(Diverged, match=f"non_finite at step {step}: energies or positions are not finite"):
        training.refuse_non_finite(energies, torch.tensor([0.0, position]))
    training.refuse_non_finite([1.0, 2.0], torch.zeros(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "wavy"}, "no schedule 'wavy'; there are: .*linear"),
        ({"sampler": "gibbs"}, "no sampler 'gibbs'; there are: langevin"),
        ({"schedule": "geometric", "noise_end": 0.0}, "linear can reach 0"),
        ({"coupled": True, "noise_start": 0.0}, "coupled needs noise_start above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config.model_validate(changes)
