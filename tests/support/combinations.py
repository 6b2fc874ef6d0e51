"""Every sampler and pruner with a study, on real Optuna, without training: planned, and played where the plan is not refused."""

import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import optuna
from safetensors.torch import save_file

import studies
from orchestrator.errors import UserError
from orchestrator.layout import MODEL, WEIGHTS, trial_folder
from orchestrator.messages import Ended
from orchestrator.search import new_sweep, plan
from orchestrator.search.book import Book
from orchestrator.search.capabilities import PRUNERS, SAMPLERS
from orchestrator.search.options import request
from orchestrator.stores import optuna_storage
from orchestrator.stores.optuna_storage import Storage
from tests.support.shapes import embedded

TRIALS = 8
REPORTS = 4  # of each trial


class Played(NamedTuple):
    """A combination: its sweep, or the sentence that refused it."""

    sampler: str
    pruner: str
    book: Book | None
    refusal: str


def storage() -> Storage:
    """A storage in memory with a sweep for each study that others begin with, named as the study; its files are in the
    current folder.
    """
    opened = optuna_storage.connect("sqlite:///:memory:")
    for study in sorted({of[0] for name in studies.names() if (of := studies.load(name).model_of)}):
        trained = new_sweep.create(opened, plan.resolve(request(study, name=study, trials=1), opened))
        trial = trained.ask()
        trained.tell(trial.number, Ended("complete", (1.0,)))
        place = trial_folder(trained.spec.folder, trial.number)
        place.mkdir(parents=True)
        save_file({}, place / WEIGHTS)
        config = studies.load(study).config().model_dump(mode="json")
        (place / MODEL).write_text(json.dumps({"study": study, "config": config}))
    return opened


def play(study: str, opened: Storage) -> Iterator[Played]:
    """All combinations with a study on embedded data, one after the other."""
    model_of = studies.load(study).model_of
    more: dict[str, Any] = {"model": model_of[0]} if model_of else {"data": embedded(studies.load(study))}
    for sampler in SAMPLERS:
        for pruner in PRUNERS:
            asked = request(study, name=f"{sampler}-{pruner}", trials=TRIALS, sampler=sampler, pruner=pruner, **more)
            try:
                spec = plan.resolve(asked, opened)
            except UserError as error:
                yield Played(sampler, pruner, None, str(error))
                continue
            directions = [direction for _, direction in spec.objectives]
            book = Book(optuna.create_study(study_name=spec.name, directions=directions), spec, str(opened.url))
            for _ in range(book.total()):  # of a grid, as many as it has points
                _trial(book)
            yield Played(sampler, pruner, book, "")


def _trial(book: Book) -> None:
    """One trial without training: it reports values by its parameters and is pruned, diverges or completes."""
    trial = book.ask()
    chance = random.Random(json.dumps(trial.params, sort_keys=True))
    if trial.number == 3:
        return book.tell(trial.number, Ended("diverged", (), "runaway", "it was told to"))
    for index in range(1, REPORTS + 1):
        values = tuple(chance.random() for _ in book.spec.objectives)
        if book.report(trial.number, index, values):
            return book.tell(trial.number, Ended("pruned", values))
    book.tell(trial.number, Ended("complete", values))
