"""A sweep's runs in another store, whole: what MLflow keeps of each under one id is there under another.

All runs are made first, so that every link between them is known when they are filled. A run is found as the sweep's, by
its tags, when everything else of it has arrived.
"""

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mlflow.entities import Metric, Param, Run, RunTag

from orchestrator.renaming import Renaming
from orchestrator.tracking import mlflow_pages
from orchestrator.tracking.mlflow_store import METRICS, MlflowStore
from orchestrator.tracking.stored_run import KEY

MADE_BY = "sweep.copying"  # a tag, while a run is made: by whom
PARENT, USER, NOTE, NAME = "mlflow.parentRunId", "mlflow.user", "mlflow.note.content", "mlflow.runName"
BATCH = 100  # parameters, and tags, that MLflow takes at once
TEXTS = (".csv", ".json", ".md", ".txt", ".html")  # files that may name runs
LINK = re.compile(r"#/experiments/\d+/runs/([0-9a-f]{32})")


def of_sweep(store: MlflowStore, id: str, own: str) -> list[Run]:
    """The runs of the sweep with this id, its ``own`` first, without those that are deleted."""
    ids = dict.fromkeys([*filter(None, [own]), *(record.run for record in store.records(id))])
    runs = [store.client.get_run(run) for run in ids]
    return [run for run in runs if run.info.lifecycle_stage == "active"]


def experiment(store: MlflowStore) -> str:
    """The name of the experiment that the store is at."""
    return str(store.client.get_experiment(store.experiment).name)


class RunCopy:
    """The runs of the sweep ``before`` on their way from one store to another, where the sweep is called ``after``."""

    def __init__(self, source: MlflowStore, target: MlflowStore, renaming: Renaming, before: str, after: str) -> None:
        """``renaming`` knows the sweep's new id, and learns those of the runs."""
        self.source, self.target, self.renaming = source, target, renaming
        self.before, self.after = before, after

    def copy(self, runs: Sequence[Run], sweep: str, on_run: Callable[[], None]) -> None:
        """Make the runs in the target's experiment and fill them; ``on_run`` is called for each that is whole.

        ``sweep`` is the new id of the sweep: with it `discard` finds the runs.
        """
        self.sweep = sweep
        for run in runs:
            self.renaming.ids[run.info.run_id] = self._make(run)
        for run in runs:
            self._fill(run)
            on_run()

    def _make(self, run: Run) -> str:
        tags = {MADE_BY: self.sweep}
        if USER in run.data.tags:
            tags[USER] = run.data.tags[USER]
        made = self.target.client.create_run(self.target.experiment, run.info.start_time, tags, self._name(run))
        return str(made.info.run_id)

    def _fill(self, run: Run) -> None:
        client, new = self.target.client, self.renaming.ids[run.info.run_id]
        self._numbers(run, new)
        params = [Param(key, self.renaming.in_text(value)) for key, value in run.data.params.items()]
        for start in range(0, len(params), BATCH):
            client.log_batch(new, params=params[start : start + BATCH])
        if run.inputs and run.inputs.dataset_inputs:
            client.log_inputs(new, run.inputs.dataset_inputs)
        self._files(run, new)
        tags = [RunTag(key, value) for key, value in self._tags(run).items()]
        for start in range(0, len(tags), BATCH):
            client.log_batch(new, tags=tags[start : start + BATCH])
        if run.info.status in ("RUNNING", "SCHEDULED"):
            client.update_run(new, run.info.status)
        else:
            client.set_terminated(new, run.info.status, run.info.end_time)
        client.delete_tag(new, MADE_BY)

    def _numbers(self, run: Run, new: str) -> None:
        """Every point of every metric, with its step and time."""
        waiting: list[Metric] = []
        for key in sorted(run.data.metrics):
            for point in self.source.client.get_metric_history(run.info.run_id, key):
                waiting.append(Metric(key, point.value, point.timestamp, point.step))
            while len(waiting) >= METRICS:
                self.target.client.log_batch(new, metrics=waiting[:METRICS])
                waiting = waiting[METRICS:]
        if waiting:
            self.target.client.log_batch(new, metrics=waiting)

    def _files(self, run: Run, new: str) -> None:
        if not self.source.client.list_artifacts(run.info.run_id):
            return
        with tempfile.TemporaryDirectory() as folder:
            self.source.client.download_artifacts(run.info.run_id, "", folder)
            self.renaming.in_files(Path(folder), TEXTS)
            self.target.client.log_artifacts(new, folder)

    def _tags(self, run: Run) -> dict[str, str]:
        tags = {key: self._text(value) for key, value in run.data.tags.items()}
        if tags.get("sweep") == self.before:
            tags["sweep"] = self.after
        if run.data.tags.get(PARENT, "") not in self.renaming.ids:
            tags.pop(PARENT, None)  # it is below a run that stays
        if NOTE in tags and self.after != self.before:
            tags[NOTE] = _renamed_commands(tags[NOTE], self.before, self.after)
        tags[NAME] = self._name(run)
        # By this one the run is the sweep's.
        return {key: value for key, value in tags.items() if key != KEY} | ({KEY: tags[KEY]} if KEY in tags else {})

    def _name(self, run: Run) -> str:
        name = str(run.info.run_name)
        return self.after if name == self.before else name

    def _text(self, text: str) -> str:
        """With the new ids, and links to the pages of the new runs."""

        def link(match: re.Match[str]) -> str:
            new = self.renaming.ids.get(match[1])
            return f"#/experiments/{self.target.experiment}/runs/{new}" if new else match[0]

        return self.renaming.in_text(LINK.sub(link, text))


def view(source: MlflowStore, target: MlflowStore, before: str, after: str) -> None:
    """Copy the view of the sweep's trials that MLflow's pages open with, if there is one."""
    text = source.client.get_experiment(source.experiment).tags.get(mlflow_pages.VIEW + before)
    if text:
        text = text.replace(f"tags.sweep = '{before}'", f"tags.sweep = '{after}'")
        target.keep_view(after, text.replace(f'"name": "{before}"', f'"name": "{after}"'))


def discard(store: MlflowStore, sweep: str) -> None:
    """Delete the runs that were made for the sweep with this id, finished or not; MLflow can restore them."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    for tags in (f"tags.`{MADE_BY}` = '{sweep}'", f"tags.`{KEY}` LIKE '{sweep}%'"):
        while runs := store.client.search_runs(experiments, tags):
            for run in runs:
                store.discard(run.info.run_id)


def _renamed_commands(markdown: str, before: str, after: str) -> str:
    """A description with the sweep's new name in its commands and links."""
    name = re.escape(before)
    markdown = re.sub(rf"(`sweep (?:show|resume|report) ){name}(?=[ `])", rf"\g<1>{after}", markdown)
    return re.sub(rf"\[{name}\](?=\()", f"[{after}]", markdown)
