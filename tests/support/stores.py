"""What the two stores in the current folder say: Optuna's sweeps.db and MLflow's mlflow.db."""

import sqlite3
from pathlib import Path
from typing import Any

import optuna

from orchestrator.tracking.trial_record import TITLE


def study(name: str) -> optuna.Study:
    """The Optuna study of a sweep."""
    return optuna.load_study(study_name=name, storage="sqlite:///sweeps.db")


def query(statement: str, *values: Any, database: str = "mlflow.db") -> list[tuple[Any, ...]]:
    """The rows that a statement gives; it is committed."""
    connection = sqlite3.connect(database)
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def dump(database: str) -> list[str]:
    """A whole database, as SQL."""
    connection = sqlite3.connect(database)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def short_name(name: str) -> str:
    """A run's name without its result: ``trial 7``."""
    return name.partition(TITLE)[0]


def statuses() -> dict[str, str]:
    """The status of every MLflow run, by its short name."""
    rows = query("select name, status from runs")
    assert len({short_name(name) for name, _ in rows}) == len(rows), "one run a trial"
    return {short_name(name): status for name, status in rows}


def two_trials_train(key: str = "distance") -> bool:
    """Whether two trials train: MLflow has the metric ``key`` of both."""
    if not Path("mlflow.db").exists():
        return False
    try:
        ((n,),) = query("select count(distinct run_uuid) from metrics where key=?", key)
    except sqlite3.OperationalError:  # its tables are being made
        return False
    return bool(n >= 2)


def points_per_run(key: str = "noise") -> list[tuple[int, int]]:
    """How many points each run has of a metric, and at how many different steps."""
    return query("select count(*), count(distinct step) from metrics where key=? group by run_uuid", key)
