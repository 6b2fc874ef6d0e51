"""Trainings that denoise point clouds: better than where they began, endings by name, the same after an interruption."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import studies
from models.data.arrays import DataError
from models.data.clouds import dataset
from models.data.clouds.dataset import Clouds
from models.env import Env
from models.events import Diverged, Event, Scalars
from models.parts.training import cache, loop
from models.points import evaluation, pointnet, training
from models.points.batches import NoisyClouds, rotations
from models.points.config import Config
from models.points.divergence import DivergenceMonitor
from models.points.scores import SIGMAS, Benchmark
from tests.support.playing import finished, gone_on

SMALL = dict(studies.load("points").smallest)


def config(**changes: Any) -> Config:
    return Config.model_validate(SMALL | changes)


@pytest.fixture(scope="module")
def data() -> Clouds:
    return dataset.load("shapes", Path("data"))


@pytest.fixture
def env(cache_folder: Path) -> Env:
    return Env("shapes", seed=3, cache_folder=cache_folder)


def learner(settings: Config, env: Env, data: Clouds) -> training.PointLearner:
    return training.PointLearner(settings, env, data, cache.at_once(pointnet.obtain(data, env.cache_folder, "cpu")))


@pytest.mark.parametrize("disentangle", ["mask", "consistency"])
def test_a_short_training_comes_nearer_to_the_surface_than_the_noisy_clouds(
    disentangle: str, env: Env, data: Clouds
) -> None:
    """Of noise that training has seen, at the σ of most of it."""
    changes = {
        "points": 128,
        "neighbours": 12,
        "augmentation": 8,
        "masked": 6,
        "width": 16,
        "updates": 80,
        "batch_size": 4,
    }
    changes |= {"noise_least": 0.03, "outliers": 0.0, "learning_rate": 5e-3, "evaluations": 1, "evaluation_clouds": 4}
    trained = learner(config(disentangle=disentangle, **changes), env, data)
    finished(loop.run(trained, None))
    denoised = evaluation.denoiser(trained.network, "cpu")(trained.benchmark.gaussian(0.04))
    assert trained.benchmark.surface(denoised) < 0.8 * trained.noisy["surface_0.04/noisy"]


@pytest.mark.parametrize("disentangle", ["mask", "consistency"])
def test_a_resumed_training_is_the_uninterrupted_one(disentangle: str, env: Env) -> None:
    """Stopped right after an evaluation, with actnorm initialised before."""
    settings = config(disentangle=disentangle, updates=8, evaluations=2)
    told, resumed = gone_on(lambda state: training.train(settings, env, state), 4)

    def said(events: list[Event]) -> list[Any]:
        return [(event.step, dict(event.values)) for event in events if isinstance(event, Scalars)]

    assert said(told) == said(resumed)[-len(said(told)) :] and said(told)


def test_a_flow_that_cannot_be_inverted_ends_by_name(env: Env, data: Clouds) -> None:
    trained = learner(config(), env, data)
    trained.update(0)
    with torch.no_grad():
        trained.network.steps[0].mixing[:, 0] = 1e-7 * trained.network.steps[0].mixing[:, 1]  # type: ignore[union-attr,index]
    with pytest.raises(Diverged, match="not_invertible.*decoding a code misses its points") as ending:
        finished(trained.evaluate(4))
    assert ending.value.reason == "not_invertible"


def test_a_denoiser_that_harms_for_three_evaluations_ends_by_name(env: Env, data: Clouds) -> None:
    trained = learner(config(), env, data)
    trained.update(0)
    with torch.no_grad():
        trained.network.steps[0].move.layers[2].weight.normal_(std=0.3)  # type: ignore[union-attr,index]
    for step in (6, 8):
        finished(trained.evaluate(step))
    with pytest.raises(Diverged, match="worse_than_noisy at step 10: surface distance") as ending:
        finished(trained.evaluate(10))
    assert ending.value.reason == "worse_than_noisy"


def test_a_monitor_excuses_the_first_quarter_and_one_good_evaluation() -> None:
    bad = {"flow/inverse_error": 1e-6, "surface/denoised": 5.0, "surface/noisy": 4.0}
    monitor = DivergenceMonitor()
    for step in range(1, 26):
        monitor = monitor.update_scores(step, 100, bad)
    assert monitor.worse_than_noisy == 0
    monitor = monitor.update_scores(30, 100, bad).update_scores(40, 100, bad)
    assert monitor.update_scores(50, 100, bad | {"surface/denoised": 3.9}).worse_than_noisy == 0
    with pytest.raises(Diverged, match="non_finite"):
        monitor.check(1, {"loss": float("nan")})


def test_batches_know_where_each_point_belongs(data: Clouds) -> None:
    settings = config(points=300, noise_least=0.01, noise_most=0.01, batch_size=6)
    noisy, clean, dense = NoisyClouds.of(data.train, settings.model_copy(update={"outliers": 0.0}), generator()).draw()
    assert float((noisy - clean).std()) == pytest.approx(0.01, rel=0.05)
    assert dense.shape == (6, 2048, 3) and float(torch.cdist(clean, dense).amin(2).max()) < 1e-3
    noisy, clean, _ = NoisyClouds.of(data.train, settings.model_copy(update={"outliers": 1.0}), generator()).draw()
    far = (noisy - clean).norm(dim=2) > 0.08
    assert 0 < far.float().mean() < 0.1 and bool((clean.norm(dim=2) <= 1.0001).all())
    turns = rotations(50, generator())
    assert torch.allclose(turns @ turns.transpose(1, 2), torch.eye(3).expand(50, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turns), torch.ones(50), atol=1e-5)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_benchmark_is_the_same_for_all_trials_and_its_samples_share_no_point(data: Clouds) -> None:
    first, again = (Benchmark.of(data, 128, 3) for _ in range(2))
    assert all(torch.equal(first.gaussian(sigma), again.gaussian(sigma)) for sigma in SIGMAS)
    samples = torch.cat([first._sample(number)[0] for number in range(3)])
    assert len(samples.unique(dim=0)) == 3 * 128
    assert first.surface(first.clean) < 1e-6 < first.surface(first.gaussian(0.01)) < first.surface(first.gaussian(0.02))
    assert first.surface(first.gaussian(0.02)) == pytest.approx(4.0, rel=0.25), "about σ², in 1e-4"


def test_without_triangles_the_surface_is_the_clean_cloud(data: Clouds) -> None:
    bare = replace(data, validation=replace(data.validation, triangles=()))
    known, unknown = (Benchmark.of(set_of, 128, 2) for set_of in (data, bare))
    assert unknown.surface(unknown.clean) == 0.0
    assert unknown.surface(unknown.gaussian(0.02)) > known.surface(known.gaussian(0.02))


def test_a_cloud_of_too_few_points_is_refused_with_how_many_fit(data: Clouds) -> None:
    training.check(config(points=682), data)
    with pytest.raises(DataError, match="points=700: clouds of 'shapes' have 2048 points.*use --set points=682"):
        training.check(config(points=700), data)


def test_the_judge_knows_clean_clouds_and_comes_from_the_cache(env: Env, data: Clouds) -> None:
    judge = cache.at_once(pointnet.obtain(data, env.cache_folder, "cpu"))
    assert judge.accuracy(data.validation.clouds[:, :256], data.validation.labels) > 0.8
    assert cache.at_once(pointnet.obtain(data, env.cache_folder, "cpu")).digest == judge.digest
