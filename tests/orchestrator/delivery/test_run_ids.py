"""The id of a run: the outbox keeps it, the courier calls back with it, and the book has a copy that outlives the folder."""

import shutil
import threading
from pathlib import Path

from orchestrator.delivery.courier import Courier
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox, run_id
from orchestrator.layout import trial_folder
from orchestrator.search.trials import run_of
from tests.support.bench import Bench
from tests.support.processes import LIMIT


def begin(folder: Path) -> Outbox:
    outbox = Outbox(folder)
    outbox.begin("key", "trial 0", {}, {})
    return outbox


def test_a_courier_calls_back_as_soon_as_the_record_exists(tmp_path: Path) -> None:
    store, runs, known = MemoryStore(), list[str](), threading.Event()
    store.away = True
    courier = Courier(store)
    outbox = begin(tmp_path)

    def on_run(run: str) -> None:
        runs.append(run)
        assert run_id(tmp_path) == run, "it is noted before it is told"
        known.set()

    try:
        courier.serve(tmp_path, on_run)
        assert not runs
        store.away = False
        assert known.wait(LIMIT)
        outbox.numbers(1, {"loss": 1.0})
        assert courier.drain(LIMIT) and runs == [store.record("key").id]
    finally:
        courier.close()
        outbox.close()


def test_a_run_that_is_known_is_told_at_once_and_a_new_one_again(tmp_path: Path) -> None:
    store, runs = MemoryStore(), list[str]()
    begin(tmp_path).close()
    Delivery(tmp_path, store).drain()
    delivery = Delivery(tmp_path, store)
    delivery.call_back(runs.append)
    assert runs == ["run0"]
    outbox = Outbox(tmp_path)
    outbox.select("run7")
    outbox.close()
    delivery.step()
    assert runs == ["run0", "run7"]


def test_the_book_has_the_runs_of_all_trials_and_keeps_them_when_the_folder_goes(bench: Bench, tmp_path: Path) -> None:
    gate = tmp_path / "gate"  # a trial ends when its run is known: Optuna takes no attribute of a finished trial
    book = bench.book(trials=3, set={"gate": str(gate)}, pruner="none")
    with bench.supervisor(book) as supervisor:

        def open_the_gate_where_runs_are_known() -> str:
            if all(trial.pending.run for trial in supervisor.status.running.values()):
                gate.touch()
            else:
                gate.unlink(missing_ok=True)
            return ""

        supervisor.drive(None, open_the_gate_where_runs_are_known)
    expected = [bench.record(book, number).id for number in range(3)]
    assert [trial.run for trial in book.trials()] == expected
    assert [run_of(book.spec, trial) for trial in book.trials()] == expected
    shutil.rmtree(trial_folder(book.spec.folder, 1))
    assert [run_of(book.spec, trial) for trial in book.trials()] == expected
