"""Connections to a database server that are cut in the middle of statements, over and over, while a sweep runs."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError, PendingRollbackError

from orchestrator.stores import cuts, optuna_storage
from tests.support.place import Place
from tests.support.servers import Postgresql

TRIALS, STEPS = 4, 30


@pytest.mark.slow
def test_connections_cut_in_mid_statement_cost_nothing(
    folder: Path, postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = {"SWEEP_STORAGE": postgresql.database(), "MLFLOW_TRACKING_URI": postgresql.database()}
    for name, value in postgresql.environment.items():
        monkeypatch.setenv(name, value)
    place, cuts, ended = Place(folder, stores), 0, threading.Event()
    gated = {"seconds": 0.05, "steps": STEPS, "journal": "journal", "gate": "gate"}
    try:
        process = place.start(*place.run("--trials", str(TRIALS), "--workers", "2", "--pruner", "none", **gated))
        process.wait_for(lambda: len(place.workers()) == 2)

        def cut() -> None:
            nonlocal cuts
            while not ended.wait(0.05):
                for database in stores.values():
                    postgresql.disconnect(database)
                cuts += 1

        thread = threading.Thread(target=cut)
        thread.start()
        try:
            process.wait_for(lambda: cuts > 60)
            place.open_gate()
            process.wait_for(
                place.computed(3)
            )  # two have ended and others have begun, and the end itself is left alone
        finally:
            ended.set()
            thread.join()
        assert process.finish().returncode == 0, process.output
        assert "Traceback" not in process.output, process.output
        place.check(TRIALS, STEPS)
    finally:
        place.close()


def cut_after(method: Callable[..., Any], times: int, invalidated: bool = True) -> Callable[..., Any]:
    """The method, whose answer is lost so many times."""
    left = iter(range(times))

    def answered(*arguments: Any, **more: Any) -> Any:
        answer = method(*arguments, **more)
        if next(left, None) is not None:
            broken = OperationalError("COMMIT", {}, Exception("closed"), connection_invalidated=invalidated)
            raise StorageInternalError from broken
        return answer

    return answered


def test_what_was_done_before_its_answer_was_lost_is_not_done_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuts, "PAUSE_SECONDS", 0.0)
    storage = optuna_storage.connect("sqlite:///sweeps.db")
    trial = optuna.create_study(storage=storage, study_name="toy").ask()
    tell = RDBStorage.set_trial_state_values
    monkeypatch.setattr(RDBStorage, "set_trial_state_values", cut_after(tell, 1))
    assert storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5])
    assert storage.get_trial(trial._trial_id).value == 0.5
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.7])


def test_only_cuts_are_repeated_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "PAUSE_SECONDS", 0.0)
    called: list[int] = []
    for invalidated, times in ((True, 3), (True, 1000), (False, 1)):
        called.clear()
        method = cuts.repeated(cut_after(called.append, times, invalidated))
        if times == 3:
            method(1)
            assert len(called) == 4
            continue
        with pytest.raises(StorageInternalError):
            method(1)
        assert len(called) == (cuts.TIMES if invalidated else 1)


def test_a_cut_is_known_where_another_query_was_tried_on_the_connection_that_broke() -> None:
    """Optuna does so when it reads trials, and tells of the second error alone."""
    for invalidated in (True, False):
        with pytest.raises(StorageInternalError) as raised:
            try:
                raise OperationalError("SELECT", {}, Exception("closed"), connection_invalidated=invalidated)
            except OperationalError:
                try:
                    raise PendingRollbackError("Can't reconnect until invalid transaction is rolled back")
                except PendingRollbackError as error:
                    raise StorageInternalError from error
        assert cuts.was_cut(raised.value) is invalidated
