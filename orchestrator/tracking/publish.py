"""What a sweep's own record shows: figures, the best trials' samples side by side, the table of trials, and the champion."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.delivery.delivery import deliver_now
from orchestrator.delivery.outbox import Outbox
from orchestrator.delivery.store import Store
from orchestrator.layout import MARKS, SAMPLES, WEIGHTS, trial_folder
from orchestrator.search import trained
from orchestrator.search.book import Book
from orchestrator.search.spec import Spec
from orchestrator.search.trials import run_of
from orchestrator.tracking.descriptions import SHOWN

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

CHAMPION = "champion"  # what is kept with the sweep of the model that was registered
PAGE = 780  # pixels of a picture on a run's page: a wider one pushes out of sight what MLflow says of the run
GRID = 235  # pixels of each of three grids side by side, so that they fit
MARKED = "marked"  # and the run that is tagged as the best


def params(spec: Spec) -> dict[str, str]:
    """The sweep's parameters in its record, without its settings, which are a file.

    Prefixed: `mlflow run` has written its own -P values there, unprefixed.
    """
    plain = {
        "study": spec.study,
        "data": spec.data,
        "data digest": spec.data_digest[:12],
        "sampler": spec.history("sampler")[
            0
        ],  # MLflow takes no change of a parameter: later ones are in the description
        "pruner": spec.history("pruner")[0],
        "seed": spec.seed,
        "version": spec.version,
    }
    return {f"sweep/{key}": str(value) for key, value in plain.items()}


def tags(spec: Spec) -> dict[str, str]:
    """What the sweep's record is found by."""
    return {"sweep": spec.name, "study": spec.study, "data": spec.data}


def settings(spec: Spec) -> bytes:
    """Every setting that its trials share, as a file."""
    return json.dumps(spec.shared, indent=2).encode()


def finish(book: Book, outbox: Outbox, remark: Callable[[str], object]) -> list[str]:
    """Put the best samples, the figures and the table of trials into the sweep's record.

    Returns the paths there of the pictures for its page; wider ones, of many parameters, are among its artifacts.
    A picture that cannot be drawn is left out, and ``remark`` hears why in a sentence.
    """
    from PIL import Image

    from orchestrator.figures import catalogue
    from orchestrator.figures.subject import Subject

    drawn = catalogue.pictures(Subject(book), remark)
    pictures = {f"figures/{name}.png": picture for name, picture in drawn.items()}
    if best := _best_samples(book, remark):
        pictures = {"best_samples.png": best, **pictures}
    for name, picture in pictures.items():
        outbox.content(name, picture)
    outbox.content("trials.csv", _table(book))
    return [name for name, picture in pictures.items() if Image.open(io.BytesIO(picture)).width <= PAGE]


def _best_samples(book: Book, remark: Callable[[str], object]) -> bytes | None:
    from orchestrator.figures import canvas, catalogue

    key, folder = book.spec.objectives[0][0], book.spec.folder
    titled = (
        (f"trial {trial.number} · {key} {trial.values[0]:.4g}", trial_folder(folder, trial.number) / SAMPLES)
        for trial in book.best(SHOWN)
    )
    return catalogue.attempt(
        "the page of best samples", lambda: canvas.sheet_of_files(titled, columns=3, widest=GRID), remark
    )


def _table(book: Book) -> bytes:
    """A row a trial."""
    names, keys = list(book.spec.space), [key for key, _ in book.spec.objectives]
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["trial", "outcome", *keys, "seconds", *names, "run"])
    for trial in book.finished():
        values = trial.values or [""] * len(keys)
        seconds = "" if trial.seconds is None else trial.seconds
        settings = [trial.params.get(name, "") for name in names]
        rows.writerow([trial.number, trial.outcome, *values, seconds, *settings, run_of(book.spec, trial)])
    return text.getvalue().encode()


def mark(book: Book, store: Store) -> None:
    """Tag the best trial's run, so that it can be searched for, and no other any more."""
    run = next((run_of(book.spec, trial) for trial in book.best()), "")
    before = book.notes().get(MARKED, "")
    if run and run != before:
        folder = Path(book.spec.folder, MARKS)
        outbox = Outbox(folder)
        if before:
            outbox.select(before)
            outbox.tags({"best": "no"})
        outbox.select(run)
        outbox.end(None, {"best": "yes"})
        deliver_now(folder, store, book.spec.tracking_uri)
        book.note(MARKED, run)  # last, as always: until it is noted, it is done again


def champion(book: Book, store: "MlflowStore") -> str:
    """The best trial's network as a model of the registry, named as the sweep; its address, or '' where there is none.

    It is crowned once: a sweep whose best trial is the champion already keeps it.
    """
    from orchestrator.tracking import model_registry

    best = book.best()
    if not best or book.study.restore is None:
        return ""
    spec, folder = book.spec, trial_folder(book.spec.folder, best[0].number)
    run = run_of(spec, best[0])
    if not run or not (folder / WEIGHTS).exists():
        return ""
    crowned = book.notes().get(CHAMPION)
    if crowned is not None and crowned["run"] == run:
        return str(crowned["address"])
    config = book.config(best[0])
    network = book.study.restore(config, spec.image_shape)
    network.load_state_dict(trained.weights(folder))
    tags = {"trial": str(best[0].number), spec.objectives[0][0]: f"{best[0].values[0]:.6g}", "data": spec.data}
    shape = book.study.takes(config, spec.image_shape)
    address = model_registry.register(store, run, network, shape, spec.name, tags)
    book.note(CHAMPION, {"run": run, "address": address})
    return address
