"""What the orchestrator promises for every study, found by its file: an interruption leaves no trace."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import studies
from models.env import Env
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.memory import MemoryStore, Record
from orchestrator.delivery.outbox import Outbox
from orchestrator.layout import WEIGHTS
from orchestrator.messages import Ended, Message, Saved, Task
from orchestrator.worker.trial import run_trial
from tests.support.shapes import embedded, shape

OPTIONAL = ("Likelihood",)  # sections of what trials say only where a setting asks for it


def played(study: str, folder: Path, cache_folder: Path, interruptions: int) -> tuple[Ended, Record, int, Task]:
    """A trial that is stopped so many times, each time after two more checkpoints: its end, its record, its lives, itself."""
    loaded = studies.load(study)
    settings = loaded.base(shape(loaded)).model_dump() | dict(loaded.smallest)
    if loaded.model_of:
        trained = folder.parent / "trained"
        if not trained.exists():
            played(loaded.model_of[0], trained, cache_folder, 0)
        settings |= {"model": str(trained)}
    config = loaded.config.model_validate(settings)
    task = Task(
        sweep="contract",
        study=study,
        trial=0,
        config=config.model_dump(mode="json"),
        data=embedded(loaded),
        data_folder="data",
        cache_folder=str(cache_folder),
        folder=str(folder),
        seed=7,
        device="cpu",
        threads=1,
        checkpoint_seconds=0.0,
    )
    outbox = Outbox(folder)
    outbox.begin("key", "trial 0", {}, {})
    outbox.close()
    lives = 0
    while True:
        lives += 1
        trial, saved = run_trial(task), 0
        message: Message | None = next(trial)
        while not isinstance(message, Ended):
            saved += isinstance(message, Saved)
            message = trial.send("stop" if saved > 2 and lives <= interruptions else "go")
        trial.close()
        if message.outcome != "stopped":
            break
    store = MemoryStore()
    Delivery(folder, store).drain()
    (record,) = store.records.values()
    return message, record, lives, task


@pytest.mark.parametrize("study", studies.names())
def test_a_trial_that_was_interrupted_says_what_an_uninterrupted_one_says(
    study: str, tmp_path: Path, cache_folder: Path
) -> None:
    """Every number, every picture and every weight, to the last bit, on the processor."""
    assert studies.load(study).smallest, f"give the study {study} its smallest settings"
    whole, once, one, task = played(study, tmp_path / "whole", cache_folder, 0)
    broken, often, many, _ = played(study, tmp_path / "broken", cache_folder, 3)
    assert (one, many) == (1, 4)
    assert (whole.outcome, whole.values) == (broken.outcome, broken.values)

    def said(record: Record) -> list[tuple[int, str, float]]:
        return [point for point in record.points if not point[1].startswith("seconds/")]

    assert said(once) == said(often) and len(said(once)) > 5
    assert once.pngs == often.pngs and once.pictures
    if not studies.load(study).model_of:  # else it trains none
        first, second = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "broken"))
        assert first.keys() == second.keys() and all((first[key] == second[key]).all() for key in first)
    draws_new_images(study, task)
    reports_what_it_said(study, once)


def draws_new_images(study: str, task: Task) -> None:
    """As many as are asked for, in range, the same for one seed and others for another."""
    loaded = studies.load(study)
    sample = loaded.sample
    if sample is None:
        return
    config = studies.load(study).config.model_validate(task.config)
    weights = {} if studies.load(study).model_of else load_file(Path(task.folder, WEIGHTS))
    folders = {"data_folder": Path("data"), "cache_folder": Path(task.cache_folder)}
    first, again, other = (
        sample(config, Env(embedded(loaded), seed, **folders), weights, 13).images for seed in (1, 1, 2)
    )
    assert first.shape == ((13, *shape(loaded)) if loaded.data_kind == "images" else (13, 3, *first.shape[2:]))
    assert bool((first.abs() <= 1).all()) and torch.equal(first, again) and not torch.equal(first, other)


def reports_what_it_said(study: str, record: Record) -> None:
    """Each section of its report names what its trials say, unless a setting left that out."""
    names = {key for _, key, _ in record.points} | {key for _, key in record.pictures}
    for section in studies.load(study).sections:
        keys = [*section.pictures, *section.numbers]
        groups = [key for key in keys if key.endswith("/")]
        if section.title not in OPTIONAL:
            assert {key for key in keys if key not in groups} <= names, section.title
            assert not groups or any(name.startswith(tuple(groups)) for name in names), section.title
