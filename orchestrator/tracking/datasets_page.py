"""One question on several data sets: a sweep each, one after the other, and one page in MLflow that compares them."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.data import dataset as datasets
from models.data import kinds as data_kinds
from orchestrator.delivery.delivery import deliver_now
from orchestrator.delivery.outbox import Outbox
from orchestrator.errors import UserError
from orchestrator.layout import ACROSS, SAMPLES, trial_folder
from orchestrator.search.book import Book
from orchestrator.search.trials import run_of
from orchestrator.text import settings_line, short
from studies.parts.study import named

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

WRITTEN = "across"  # what is kept with the first sweep: the digest of the page that was written last
Column = dict[str, Any]  # what is said of one data set's sweep


def data_sets(text: str | None) -> list[str | None]:
    """The data sets of ``--data``, parted by commas; None stands for the default.

    UserError where one is there twice, or is no data set.
    """
    named = _parted(text or "")
    twice = [name for name, count in Counter(named).items() if count > 1]
    if twice:
        raise UserError(f"--data {text}: {twice[0] or 'nothing'} is there twice; name each data set once")
    if len(named) > 1 and "" in named:
        raise UserError(
            f"--data {text}: a comma stands beside nothing; name the data sets like this: mnist,fashion_mnist"
        )
    try:
        for name in filter(None, named):
            data_kinds.check_name(name)  # which only looks at the name: each is checked before the first one is read
    except datasets.DataError as error:
        raise UserError(str(error)) from None
    return [name or None for name in named]


def _parted(text: str) -> list[str]:
    """The names between commas. A comma in the path of a folder or a file parts nothing: no data set is named behind it."""
    parts = list[str]()
    for part in text.split(","):
        known = data_kinds.is_named(part.strip()) or not part.strip()
        if parts and not known and data_kinds.is_path(parts[-1].strip()):
            parts[-1] = f"{parts[-1]},{part}"
        else:
            parts.append(part)
    return [part.strip() for part in parts]


def names(name: str | None, data: Sequence[str | None]) -> list[str | None]:
    """The sweeps' names, each the given one with its data set; None where they are to be found. UserError for two alike."""
    kinds = [datasets.kind(data_set or "") for data_set in data]
    alike = len(set(kinds)) < len(kinds)
    if name is None:
        if alike:
            raise UserError(
                "two of the data sets are of one kind, so their sweeps would be called alike; give a --name"
            )
        return [None] * len(data)
    if len(data) == 1:
        return [name]
    return [f"{name}-{kind}" + (f"-{i}" if alike else "") for i, kind in enumerate(kinds, 1)]


def page(books: Sequence[Book], store: "MlflowStore", run: str | None) -> str:
    """Write the page, or write it anew, into ``run`` or one of its own; returns it as Markdown.

    It is an outbox of the first sweep's, so a page that could not be delivered waits for `sweep sync` of that sweep.
    """
    from orchestrator.figures import canvas

    columns = {book.spec.data: column(book, store) for book in books}
    first = books[0].spec
    key = hashlib.sha256("/".join(book.spec.id for book in books).encode()).hexdigest()[:32]
    study = Path(first.study).stem
    title = f"{study} on {', '.join(columns)}"
    text = f"**{first.question}**\n\n`{first.command}`\n\n{markdown(books, columns)}"
    digest = hashlib.sha256(json.dumps([text, columns]).encode()).hexdigest()
    if not run and books[0].notes().get(WRITTEN) == digest:
        return text
    folder = Path(first.folder, ACROSS)
    folder.mkdir(exist_ok=True)
    outbox = Outbox(folder)
    outbox.begin(key, title, {}, {"study": study, "data": ", ".join(columns)}, run=run)
    outbox.note(text)
    outbox.content("comparison.json", json.dumps(columns, indent=2).encode())
    pictures = canvas.sheet_of_files((shown_of(book) for book in books if book.best()), columns=2)
    if pictures:
        outbox.content("figures/best_trials.png", pictures)
    outbox.end("FINISHED", {"outcome": "complete"})
    deliver_now(folder, store, first.tracking_uri)
    if not run:
        books[0].note(WRITTEN, digest)  # last: until it is noted, the page is written again
    return text


def shown_of(book: Book) -> tuple[str, Path]:
    """What stands above the best trial's picture, and where that is."""
    best = book.best()[0]
    return f"{book.spec.data}, trial {best.number}", trial_folder(book.spec.folder, best.number) / SAMPLES


def column(book: Book, store: "MlflowStore") -> Column:
    """The best trial of a sweep: its objectives, and what the study's report says of a trial in numbers."""
    spec, best = book.spec, book.best()
    done = len(book.finished())
    summary: Column = {"sweep": spec.name, "trials": f"{done} of {book.total()}", "numbers": {}}
    if not best:
        return summary
    trial = best[0]
    goals = {key: value for (key, _), value in zip(spec.objectives, trial.values, strict=True)}
    run = run_of(spec, trial)
    last = store.last(run) if run else {}
    metrics = named([key for section in book.study.sections for key in section.numbers], last)
    numbers = goals | {key: last[key] for key in metrics if key not in goals}
    return summary | {"trial": trial.number, "settings": settings_line(trial.params), "numbers": numbers}


def markdown(books: Sequence[Book], columns: dict[str, Column]) -> str:
    """A column a data set, a row a number; the objectives first, and with their directions."""
    every = list(dict.fromkeys(key for column_values in columns.values() for key in column_values["numbers"]))
    directions = dict(books[0].spec.objectives)
    rows = [["", *columns], ["---"] * (len(columns) + 1)]
    for key in ("sweep", "trials", "trial", "settings"):
        name = {"trials": "trials finished", "trial": "best trial"}.get(key, key)
        rows.append([name, *(str(column_values.get(key, "")) for column_values in columns.values())])
    for key in every:
        better = {"minimize": " ↓", "maximize": " ↑"}.get(directions.get(key, ""), "")
        rows.append(
            [f"`{key}`{better}", *(short(column_values["numbers"].get(key, "")) for column_values in columns.values())]
        )
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    two = " ".join(book.spec.name for book in books[:2])
    return f"{table}\n\nWith curves and pictures: `sweep report {two}`"
