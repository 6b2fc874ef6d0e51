"""Trials that this process runs are kept as they are written: they stand in the cache as in the storage, and are not read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from orchestrator.stores import optuna_storage

DIRECTION = [("loss", "minimize")]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RDBStorage]:
    storage = optuna_storage.connect(f"sqlite:///{tmp_path / 'sweeps.db'}")
    optuna_storage.add_study(storage, "sweep", DIRECTION, {})
    yield storage
    storage.engine.dispose()


@pytest.fixture
def study(storage: RDBStorage) -> optuna.Study:
    return optuna_storage.load_study(storage, "sweep")


def begin(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    optuna_storage.hold(study, trial)
    return trial


def stored(storage: RDBStorage) -> list[FrozenTrial]:
    return storage.get_all_trials(storage.get_study_id_from_name("sweep"))


def test_the_cache_says_what_the_storage_says_after_every_write(storage: RDBStorage, study: optuna.Study) -> None:
    first, second = begin(study), begin(study)
    writes: list[Any] = [
        lambda: first.suggest_float("rate", 1e-4, 1e-1, log=True),
        lambda: second.suggest_int("width", 8, 64, step=8),
        lambda: second.suggest_categorical("kind", ["a", None, 3, True]),
        lambda: first.set_user_attr("run", "abc"),
        lambda: first.set_user_attr("run", "def"),
        lambda: second.set_constraint("infeasible", 1.0),
        lambda: first.report(float("nan"), 1),
        lambda: first.report(float("-inf"), 2),
        lambda: second.report(0.1 + 0.2, 7),
        lambda: study.tell(second, 0.25),
        lambda: study.tell(first, state=optuna.trial.TrialState.PRUNED),
    ]
    for write in writes:
        write()
        seen = study.get_trials(deepcopy=False)
        assert [repr(vars(trial)) for trial in seen] == [repr(vars(trial)) for trial in stored(storage)]


def test_a_trial_that_was_handed_out_does_not_change(study: optuna.Study) -> None:
    trial = begin(study)
    (before,) = study.get_trials(deepcopy=False)
    trial.suggest_float("rate", 0, 1)
    trial.report(1.0, 1)
    assert (before.params, before.intermediate_values) == ({}, {})


def test_running_trials_are_not_read_while_others_are_asked_reported_and_told(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = [begin(study) for _ in range(8)]
    last = begin(study)
    read = list[int]()
    build = RDBStorage._build_frozen_trial_from_trial_model
    monkeypatch.setattr(
        RDBStorage,
        "_build_frozen_trial_from_trial_model",
        lambda self, trial: (read.append(trial.number), build(self, trial))[1],
    )
    study.sampler, study.pruner = optuna.samplers.TPESampler(n_startup_trials=0), optuna.pruners.MedianPruner()
    last.suggest_float("rate", 0, 1)
    last.report(1.0, 1)
    last.should_prune()
    study.tell(last, 1.0)
    another = begin(study)
    another.suggest_float("rate", 0, 1)
    assert not {trial.number for trial in running} & {*read}
    assert {last.number, another.number} <= {*read}


def test_trials_that_others_add_and_end_are_seen(storage: RDBStorage, study: optuna.Study) -> None:
    elsewhere = optuna_storage.load_study(storage, "sweep")
    ours = begin(study)
    theirs = elsewhere.ask()
    elsewhere.enqueue_trial({"rate": 0.5})
    begin(study)  # the one that waits
    assert [trial.number for trial in study.get_trials()] == [0, 1, 2]
    theirs.suggest_float("rate", 0, 1)
    elsewhere.tell(theirs, 1.0)
    study.tell(ours, 2.0)
    assert [trial.values for trial in study.get_trials()] == [[2.0], [1.0], None]


def test_what_is_left_is_read_again(storage: RDBStorage, study: optuna.Study) -> None:
    trial = begin(study)
    study.get_trials()
    optuna_storage.release(study)
    elsewhere = optuna_storage.load_study(storage, "sweep")
    another = optuna.Trial(elsewhere, trial._trial_id)
    another.report(1.0, 1)
    assert study.get_trials()[0].intermediate_values == {1: 1.0}
    elsewhere.tell(another, 2.0)
    assert study.get_trials()[0].values == [2.0]


def test_one_that_was_added_between_two_of_ours_is_not_lost(storage: RDBStorage, study: optuna.Study) -> None:
    elsewhere = optuna_storage.load_study(storage, "sweep")
    ours = study.ask()
    theirs = elsewhere.ask({"kind": CategoricalDistribution(["a", "b"])})
    later = study.ask()
    optuna_storage.hold(study, later)
    optuna_storage.hold(study, ours)
    elsewhere.tell(theirs, 3.0)
    assert [trial.state.name for trial in study.get_trials()] == ["RUNNING", "COMPLETE", "RUNNING"]
