"""The first command in a new folder is killed while it makes its stores, or is begun several times at once."""

from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.support.paths import QUADRATIC
from tests.support.place import Place
from tests.support.processes import Process
from tests.support.servers import Postgresql
from tests.support.stores import query

pytestmark = pytest.mark.slow

# The command is killed before a statement of SQL in the file that becomes a store, by its number, or after a function.
STATEMENT = """
import os, signal
from sqlalchemy import Engine, event
statements = []
@event.listens_for(Engine, "before_cursor_execute")
def killed(connection, *_):
    if str(connection.engine.url.database).endswith("{file}.unfinished"):
        statements.append(1)
        if len(statements) == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
"""
FUNCTION = """
import os, signal
{owner}
original = getattr(owner, "{name}")
def killed(*arguments, **more):
    original(*arguments, **more)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, "{name}", killed)
"""
MOMENTS = {
    "Optuna's tables": STATEMENT.format(file="sweeps.db", number=30),
    "Optuna's store": FUNCTION.format(owner="from orchestrator.stores import creation as owner", name="ensure"),
    "MLflow's tables": STATEMENT.format(file="mlflow.db", number=400),
    "MLflow's experiment": FUNCTION.format(
        owner="from orchestrator.tracking.mlflow_store import MlflowStore as owner", name="make_experiment"
    ),
    "the study": FUNCTION.format(owner="import orchestrator.search.new_sweep as owner", name="add_study"),
}


@pytest.mark.parametrize("place", ["files"], indirect=True)
def test_a_first_command_that_is_killed_anywhere_is_given_again(folder: Path, place: Place) -> None:
    """One folder, in which the command gets a little further each time."""
    command = place.run("--trials", "1", "--workers", "0")
    for moment, script in MOMENTS.items():
        assert place.start(*command, script=script).finish().returncode == -9, moment
    done = place.sweep(*command)
    assert done.returncode == 0, done.output
    assert {path.name for path in folder.iterdir()} == {"sweeps.db", "mlflow.db", "mlruns", ".sweeps"}
    assert [trial.state.name for trial in place.trials()] == ["COMPLETE"]
    assert len(query("select 1 from runs")) == 2 and not done.stderr


def all_begin(place: Place, number: int = 4) -> None:
    """Commands without a name that are begun at once all end with status 0, each with a sweep of its own."""
    line = ("run", QUADRATIC, "--trials", "1", "--workers", "0")
    processes: list[Process] = [place.start(*line) for _ in range(number)]
    for process in processes:
        assert process.finish().returncode == 0, process.output
    names = {f"quadratic-digits-{count + 1}" for count in range(number)}
    assert set(column(place.stores["SWEEP_STORAGE"], "SELECT study_name FROM studies")) == names
    assert {path.name for path in (place.folder / ".sweeps").iterdir()} == names
    assert column(place.stores["MLFLOW_TRACKING_URI"], "SELECT status FROM runs") == ["FINISHED"] * 2 * number


def column(url: str, statement: str) -> list[str]:
    """What a statement gives, of rows with one value."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return list(connection.execute(text(statement)).scalars())


@pytest.mark.parametrize("place", ["files"], indirect=True)
def test_first_commands_at_once_in_a_new_folder_all_begin(place: Place) -> None:
    all_begin(place)


def test_first_commands_at_once_with_new_databases_all_begin(
    folder: Path, postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = {"SWEEP_STORAGE": postgresql.database(), "MLFLOW_TRACKING_URI": postgresql.database()}
    for name, value in postgresql.environment.items():
        monkeypatch.setenv(name, value)
    place = Place(folder, stores)
    try:
        all_begin(place)
    finally:
        place.close()
