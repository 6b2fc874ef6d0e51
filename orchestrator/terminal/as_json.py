"""Sweeps, trials and studies as plain values, for `--json`: what tables show, unrounded."""

from typing import Any

from pydantic import BaseModel

from orchestrator.search import combinations, completion
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial, run_of
from orchestrator.supervisor import lease
from orchestrator.supervisor.lease import Driver
from studies.parts import space as _space
from studies.parts.study import Study


def sweep(book: Book, driver: Driver | None) -> dict[str, Any]:
    """A sweep in a few values; ``driver`` drives it, see lease.present."""
    spec, best = book.spec, book.best()
    return {
        "sweep": spec.name,
        "study": spec.study,
        "question": " ".join(spec.question.split()),
        "data": spec.data,
        "objectives": dict(spec.objectives),
        "trials": book.total(),
        "finished": len(book.finished()),
        "running": len(lease.running(driver, book.trials_running())),
        "places": sorted(driver.places) if driver else [],
        "state": driver.state if driver else completion.CLOSING if completion.is_closing(book) else "idle",
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        "changes": [change.model_dump() for change in spec.changes],
        "caution": spec.caution or None,
        "best": trial(book, best[0], driver) if best else None,
        "command": spec.command,
        "run": spec.run,
        "tracking_uri": spec.tracking_uri,
    }


def trial(book: Book, trial: Trial, driver: Driver | None = None) -> dict[str, Any]:
    """A trial; ``driver`` drives the sweep, see lease.present.

    ``values`` are the objectives', {} where it has none; ``reports`` the first objective's on the way.
    """
    return {
        "trial": trial.number,
        "outcome": lease.outcome(driver, trial),
        "reason": trial.reason or None,
        "values": {key: value for (key, _), value in zip(book.spec.objectives, trial.values, strict=False)},
        "reports": trial.course,
        "seconds": trial.seconds,
        "memory": trial.memory or None,
        "deaths": len(trial.deaths),
        "places": [vars(stay) for stay in trial.stays],
        "settings": dict(trial.params),
        "run": run_of(book.spec, trial),
    }


def study(name: str, study: Study[Any, Any], base: BaseModel) -> dict[str, Any]:
    """A study with the recipe that it varies: its search space, and the settings that are not searched."""
    space = _space.describe(study.space, base)
    samplers, pruners, _ = combinations.fitting(combinations.of_study(study, base))
    return {
        "study": name,
        "question": " ".join(study.question.split()),
        "objectives": {goal.key: goal.direction for goal in study.objectives},
        "trials": study.trials,
        "samplers": samplers,
        "pruners": pruners,
        "space": {name: parameter.asdict() for name, parameter in space.items()},
        "settings": {key: value for key, value in base.model_dump(mode="json").items() if key not in space},
    }
