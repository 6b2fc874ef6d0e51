"""Addresses of MLflow's pages."""

import re
from typing import TYPE_CHECKING

from orchestrator.errors import UserError

if TYPE_CHECKING:
    from orchestrator.tracker import MlflowStore

MODE = "workflowType=machine_learning"  # else they open in one made for language models
VIEW = "mlflow.sharedViewState."  # begins the tags of an experiment that hold views of its runs


def linked(markdown: str, experiment: str) -> str:
    """With links to runs, ``(run:ID)``, as addresses of their pages, which hold on any page of the same server."""
    return re.sub(r"\(run:(\w+)\)", rf"(#/experiments/{experiment}/runs/\1?{MODE})", markdown)


def of(store: "MlflowStore", name: str | None) -> dict[str, str]:
    """The pages of the sweep ``name``, or else of the newest one: of its trials, and its own; UserError without it."""
    experiments = {one.experiment_id: one for one in store.client.search_experiments()}
    which = "params.`sweep/study` LIKE '%'" + (f" and tags.sweep = '{name}'" if name else "")
    newest = ["attributes.start_time DESC"]
    found = store.client.search_runs(list(experiments), which, max_results=1, order_by=newest)
    if not found:
        if name:
            raise UserError(f"{store.client.tracking_uri} holds no sweep '{name}'; `sweep list` tells which there are")
        return {"sweeps": f"#/experiments?{MODE}"}
    info, sweep = found[0].info, found[0].data.tags["sweep"]
    view = f"&viewStateShareKey={sweep}" if VIEW + sweep in experiments[info.experiment_id].tags else ""
    return {
        "trials": f"#/experiments/{info.experiment_id}/runs?{MODE}{view}",
        "sweep": f"#/experiments/{info.experiment_id}/runs/{info.run_id}?{MODE}",
    }
