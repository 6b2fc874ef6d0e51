"""What two sweeps hold, entry by entry, without the ids by which their stores know them: equal where one is the other's copy."""

import re
from pathlib import Path
from typing import Any

from mlflow import artifacts

from orchestrator.search import book as books
from orchestrator.search.book import Book
from orchestrator.stores import optuna_storage
from orchestrator.tracking import connection, model_copy, run_copy

PASSING = (".lock",)


def load(storage: str, name: str) -> Book:
    """The sweep ``name`` of a storage."""
    return books.load(optuna_storage.connect(storage), name)


def of(book: Book) -> dict[str, Any]:
    """Trials, what is kept with the study, runs with all that MLflow keeps of each, models, and files."""
    spec = book.spec
    store = connection.find(spec.tracking_uri, "--tracking-uri", Path(spec.study).stem, spec.run)
    assert store is not None
    runs = run_copy.of_sweep(store, spec.id, spec.run)
    names = {spec.id: "SWEEP"} | {run.info.run_id: f"run {run.data.tags['sweep.key']}" for run in runs}
    models: dict[str, Any] = {}
    for run in runs:
        for output in run.outputs.model_outputs if run.outputs else []:
            names[output.model_id.removeprefix("m-")] = f"model of {names[run.info.run_id]}"

    def plain(value: Any) -> Any:
        """Without ids, also of the experiment, and without the folder."""
        if isinstance(value, dict):
            return {plain(key): plain(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [plain(entry) for entry in value]
        if isinstance(value, bytes):
            return plain(value.decode("latin-1"))
        if not isinstance(value, str):
            return value
        for _ in range(2):  # the name of a run holds the sweep's id
            value = re.sub(r"[0-9a-f]{32}", lambda match: names.get(match[0], match[0]), value)
        value = re.sub(r"#/experiments/\d+/", "#/experiments/E/", value)
        value = re.sub(r"artifact_path: .*", "artifact_path: A", value)
        return value.replace(str(Path(spec.folder).parent.parent), "HOME")

    def files(download: Any) -> dict[str, bytes]:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            top = Path(download(folder))
            return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    content: dict[str, Any] = {"runs": {}, "models": models}
    for run in runs:
        id = run.info.run_id
        tags = {key: value for key, value in run.data.tags.items() if key != "study"}
        has = bool(store.client.list_artifacts(id))
        content["runs"][names[id]] = {
            "info": (
                run.info.run_name,
                run.info.status,
                run.info.start_time,
                run.info.end_time,
                run.info.lifecycle_stage,
            ),
            "params": run.data.params,
            "tags": tags,
            "last": run.data.metrics,
            "points": {
                key: sorted(
                    (point.step, point.timestamp, point.value) for point in store.client.get_metric_history(id, key)
                )
                for key in run.data.metrics
            },
            "data": [
                (
                    entry.dataset.name,
                    entry.dataset.digest,
                    entry.dataset.source,
                    entry.dataset.profile,
                    [str(tag) for tag in entry.tags],
                )
                for entry in (run.inputs.dataset_inputs if run.inputs else [])
            ],
            "files": files(lambda folder, id=id: store.client.download_artifacts(id, "", folder)) if has else {},
        }
        for output in run.outputs.model_outputs if run.outputs else []:
            model = store.client.get_logged_model(output.model_id)
            at = {"artifact_uri": model.artifact_location, "tracking_uri": spec.tracking_uri}
            models[names[output.model_id.removeprefix("m-")]] = {
                "about": (
                    model.name,
                    str(model.status),
                    {key: value for key, value in model.tags.items() if key != model_copy.VERSIONS},
                    model.params,
                    model.source_run_id,
                    output.step,
                ),
                "files": files(lambda folder, at=at: artifacts.download_artifacts(**at, dst_path=folder)),
            }
    content["registered"] = [
        (version.source, version.run_id, version.tags, version.aliases, version.status)
        for version in model_copy.versions(store, spec.name)
    ]
    content["trials"] = [
        (
            trial.number,
            trial.state.name,
            trial.values,
            trial.params,
            {name: str(distribution) for name, distribution in trial.distributions.items()},
            trial.intermediate_values,
            trial.user_attrs,
            trial.system_attrs,
            str(trial.datetime_start),
            str(trial.datetime_complete),
        )
        for trial in book.optuna_study.get_trials()
    ]
    notes = {key: value for key, value in book.notes().items() if key not in ("sweep", "driver")}
    content["study"] = (
        notes,
        book.optuna_study.metric_names,
        [str(direction) for direction in book.optuna_study.directions],
    )
    content["spec"] = spec.model_dump(mode="json", exclude={"tracking_uri", "study", "data_folder"})
    folder = Path(spec.folder)
    content["on disk"] = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in PASSING and path.name != "sweep.json" and path.suffix != ".py"
    }
    return plain(content)
