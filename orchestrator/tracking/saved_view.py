"""The view of a sweep's trials that MLflow's page of runs opens with: its columns, its order, and the charts that come first.

MLflow shows charts by the alphabet and columns that say nothing of a search. A view is what its button "Views" saves: the state
of that page as JSON, kept as a tag of the experiment.
"""

import json
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from orchestrator.search.book import Book
from studies.parts import space as _space

LONGEST = 5000  # letters that MLflow takes as a tag of an experiment
AXES = 8  # parameters that a chart of lines across all of them can bear
SECTION = "the sweep"
NAME = "attributes.`Run Name`"


def text(book: Book) -> str:
    """The view, named as the sweep: its trials by the objective, the best first."""
    spec = book.spec
    key, direction = spec.objectives[0]
    goals = [key for key, _ in spec.objectives]
    columns = [*(_column("metrics", goal) for goal in goals), *(_column("params", name) for name in spec.space)]
    state: dict[str, Any] = {
        "searchFilter": f"tags.sweep = '{spec.name}' and tags.trial != ''",
        "orderByKey": _column("metrics", key),
        "orderByAsc": direction == "minimize",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
        "columnOrder": [NAME],
        "columnWidths": {NAME: 300},
        "compareRunSections": [{"uuid": SECTION, "name": SECTION, "display": True, "isReordered": True, "columns": 2}],
        "compareRunCharts": list(_charts(book, goals)),
        "isAccordionReordered": True,
    }
    view = _packed(spec.name, state)
    return view if len(view) <= LONGEST else _packed(spec.name, state | {"selectedColumns": columns[: len(goals)]})


def _packed(name: str, state: dict[str, Any]) -> str:
    now = int(time.time() * 1000)
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)})


def _charts(book: Book, goals: list[str]) -> Iterator[dict[str, Any]]:
    """The objectives over training, what they depend on, what else the study names, and the pictures."""
    study, searched = book.study, [name for name in _always(book) if name not in book.spec.fixed]
    for goal in goals:
        yield _card("LINE", goal, metricKey=goal, selectedMetricKeys=[goal], **LINE)
    lines = {"selectedParams": searched[:AXES], "selectedMetrics": goals, "showAllRuns": True}
    yield _card("PARALLEL", "parallel", **lines)
    for chart in study.charts:
        yield _card("LINE", chart, metricKey=chart, selectedMetricKeys=[chart], **LINE)
    # Last: of each trial MLflow shows what was logged at the very step of the slider, which trials mostly share at 0 alone.
    yield _card("IMAGE", study.pictures, imageKeys=[study.pictures], step=0, showRunParams=False)


def _always(book: Book) -> list[str]:
    """Parameters that every trial has: of the others' trials MLflow would draw no line."""
    base = book.study.config.model_validate(book.spec.base)
    branches = list(islice(_space.grid(book.spec.space_of(book.study), base, 1), 1000))
    return [name for name in branches[0] if all(name in branch for branch in branches)]


LINE: dict[str, Any] = {
    "xAxisKey": "step",
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "range": {},
    "lineSmoothness": 0,
    "selectedXAxisMetricKey": "",
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


def _card(kind: str, name: str, **more: Any) -> dict[str, Any]:
    place = {"uuid": name, "metricSectionId": SECTION, "deleted": False, "isGenerated": False}
    return {"type": kind, **place, **more}


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
