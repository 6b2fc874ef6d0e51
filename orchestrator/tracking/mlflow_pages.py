"""Addresses of MLflow's pages."""

import re
from typing import Any

from orchestrator.errors import UserError

MODE = "workflowType=machine_learning"  # else they open in one made for language models
VIEW = "mlflow.sharedViewState."  # begins the tags of an experiment that hold views of its runs


def linked(markdown: str, experiment: str) -> str:
    """With links to runs, ``(run:ID)``, as addresses of their pages, which hold on any page of the same server."""
    return re.sub(r"\(run:(\w+)\)", rf"(#/experiments/{experiment}/runs/\1?{MODE})", markdown)


def pages(client: Any, name: str | None) -> dict[str, str]:
    """The pages of the sweep ``name``, or else of the newest one, by MLflow's ``client``. See MlflowStore.pages."""
    experiments = {experiment.experiment_id: experiment for experiment in client.search_experiments()}
    which = "params.`sweep/study` LIKE '%'" + (f" and tags.sweep = '{name}'" if name else "")
    runs = client.search_runs(list(experiments), which, max_results=1, order_by=["attributes.start_time DESC"])
    if not runs:
        if name:
            raise UserError(f"{client.tracking_uri} holds no sweep '{name}'; `sweep list` tells which there are")
        return {"sweeps": f"#/experiments?{MODE}"}
    info, sweep = runs[0].info, runs[0].data.tags["sweep"]
    view = f"&viewStateShareKey={sweep}" if VIEW + sweep in experiments[info.experiment_id].tags else ""
    return {
        "trials": f"#/experiments/{info.experiment_id}/runs?{MODE}{view}",
        "sweep": f"#/experiments/{info.experiment_id}/runs/{info.run_id}?{MODE}",
    }
