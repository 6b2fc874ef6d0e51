"""MLflow's database, read without MLflow: importing MLflow takes twice as long as all else that `doctor` and `report` do.

It answers what MLflow's own client answers (`tests/orchestrator/tracking/test_database.py` compares them), and changes nothing.
A server, tables of another version and files that are not on this machine are left to the client.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import UserError
from orchestrator.stores import artifact_locations, failures, sqlite
from orchestrator.tracking.stored_run import CHAMPION, KEY, PICTURES, StoredRun, pictures

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

VERSIONS = ("dc11669786a5",)  # of MLflow's tables, by alembic: those of MLflow 3.17
DATABASES = ("sqlite", "postgresql")
UPLOADING = ".artifact.uploading."  # begins the name of a file that MLflow has not written to its end


class Database:
    """The runs of an experiment. See RunReader; UserError where the database cannot be read."""

    def __init__(self, uri: str, client: "Callable[[], MlflowStore]") -> None:
        """``client`` opens the same tracker by MLflow's own client."""
        self._uri, self.client, self.experiment = uri, client, ""
        self._engine = create_engine(uri, poolclass=NullPool)  # nobody is told when it is not needed any more
        self._addresses: dict[str, str] = {}  # of the files of runs
        sqlite.prepare(self._engine)

    def readable(self) -> bool:
        """Whether its tables are as this file knows them."""
        try:
            versions = {version for (version,) in self._rows("SELECT version_num FROM alembic_version")}
            # Workspaces hide experiments from each other, by settings of MLflow.
            spaces = self._rows("SELECT 1 FROM experiments WHERE workspace <> 'default' LIMIT 1")
        except UserError:
            return False
        return bool(versions) and versions <= set(VERSIONS) and not spaces

    def find_experiment(self, name: str) -> bool:
        """See RunReader."""
        for (experiment,) in self._rows("SELECT experiment_id FROM experiments WHERE name = :name", name=name):
            self.experiment = str(experiment)
            return True
        return False

    def follow(self, run: str) -> None:
        """See RunReader."""
        ((experiment,),) = self._rows("SELECT experiment_id FROM runs WHERE run_uuid = :run", run=run)
        self.experiment = str(experiment)

    def records(self, id: str, deleted: bool = False) -> list[StoredRun]:
        """See RunReader."""
        runs = self._tagged("value LIKE :value", KEY, f"{id}%")
        return [run for run in runs if run.key.startswith(id) and (deleted or not run.deleted)]

    def named(self, sweep: str) -> list[StoredRun]:
        """See RunReader."""
        return [run for run in self._tagged("value = :value", "sweep", sweep) if not run.deleted]

    def record(self, run: str) -> StoredRun | None:
        """See RunReader."""
        return next(iter(self._runs("run_uuid = :run", run=run)), None)

    def artifacts(self, run: str) -> set[str]:
        """See RunReader."""
        folder = self._folder(run)
        return self.client().artifacts(run) if folder is None else set(_names(folder))

    def pictures(self, run: str) -> list[tuple[str, int, str]]:
        """See RunReader."""
        folder = self._folder(run)
        if folder is None:
            return self.client().pictures(run)
        return pictures(f"{PICTURES}/{name}" for name in _names(folder / PICTURES))

    def content(self, run: str, path: str) -> bytes:
        """See RunReader."""
        folder = self._folder(run)
        return self.client().content(run, path) if folder is None else (folder / path).read_bytes()

    def last(self, run: str) -> dict[str, float]:
        """See RunReader."""
        rows = self._rows("SELECT key, value, is_nan FROM latest_metrics WHERE run_uuid = :run", run=run)
        return {key: _number(value, is_nan) for key, value, is_nan in rows}

    def history(self, run: str, key: str) -> list[tuple[int, float]]:
        """See RunReader."""
        rows = self._rows(
            "SELECT step, value, is_nan FROM metrics WHERE run_uuid = :run AND key = :key", run=run, key=key
        )
        return sorted((step, _number(value, is_nan)) for step, value, is_nan in rows)

    def has_champion(self, name: str) -> bool:
        """See RunReader."""
        where = "workspace = 'default' AND name = :name AND alias = :alias"
        return bool(self._rows(f"SELECT 1 FROM registered_model_aliases WHERE {where}", name=name, alias=CHAMPION))

    def _tagged(self, condition: str, key: str, value: str) -> list[StoredRun]:
        """The runs of the experiment with a tag ``key`` that meets ``condition``."""
        tagged = f"SELECT run_uuid FROM tags WHERE key = :key AND {condition}"
        where = f"experiment_id = :experiment AND run_uuid IN ({tagged})"
        return self._runs(where, experiment=int(self.experiment), key=key, value=value)

    def _runs(self, where: str, **values: Any) -> list[StoredRun]:
        """The runs that meet a condition, the oldest first. Status is read before tags, as MLflow's client does."""
        columns = "run_uuid, status, end_time, lifecycle_stage, artifact_uri"
        rows = self._rows(f"SELECT {columns} FROM runs WHERE {where} ORDER BY start_time, run_uuid", **values)
        self._addresses |= {run: address for run, *_, address in rows}
        inside = f"run_uuid IN (SELECT run_uuid FROM runs WHERE {where})"
        tags: dict[str, dict[str, str]] = {}
        for run, key, text_ in self._rows(f"SELECT run_uuid, key, value FROM tags WHERE {inside}", **values):
            tags.setdefault(run, {})[key] = text_
        last: dict[str, dict[str, float]] = {}
        for run, key, value, is_nan in self._rows(
            f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE {inside}", **values
        ):
            last.setdefault(run, {})[key] = _number(value, is_nan)
        return [
            StoredRun(
                run=run,
                key=tags.get(run, {}).get(KEY, ""),
                status=status,
                tags=tags.get(run, {}),
                numbers=frozenset(last.get(run, {})),
                ended=ended,
                deleted=stage != "active",
                last=last.get(run, {}),
            )
            for run, status, ended, stage, _ in rows
        ]

    def _folder(self, run: str) -> Path | None:
        """Where the files of a run are; None where that is not on this machine."""
        if run not in self._addresses and self.record(run) is None:
            raise FileNotFoundError(f"MLflow has no run {run}")
        location = artifact_locations.beside(self._uri, self._addresses[run])
        address = urlsplit(location)
        if address.scheme not in ("", "file") or address.netloc:
            return None
        return Path(url2pathname(address.path if address.scheme else location))

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        try:
            with self._engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(query), values)]
        except SQLAlchemyError as error:
            raise failures.failure(self._uri, "--tracking-uri", error) from None


def open_database(uri: str, client: "Callable[[], MlflowStore]") -> Database | None:
    """MLflow's database at ``uri``; None where only the ``client`` can read it."""
    if "://" not in uri or make_url(uri).get_backend_name() not in DATABASES:
        return None
    database = Database(uri, client)
    return database if database.readable() else None


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(UPLOADING)] if folder.is_dir() else []


def _number(value: float, is_nan: bool) -> float:
    return float("nan") if is_nan else value
