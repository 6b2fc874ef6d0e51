"""A sweep on its way from one storage, tracker and home to others: everything of it is copied, and nothing is changed there.

Ids of runs are new in another store. So runs go first, and all that refers to them follows with the new ids: files, trials,
what is kept with the study, and the Spec. The copy is a sweep when it is published, by its last step.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.delivery import outbox
from orchestrator.delivery.outbox import Outbox
from orchestrator.layout import ACROSS, CACHE, IDENTITY, MODEL, OUTBOX, PARENT_RUN, SWEEPS, WEIGHTS, WORKER
from orchestrator.renaming import Renaming
from orchestrator.search import home, study_copy
from orchestrator.search.book import Book
from orchestrator.search.spec import Spec
from orchestrator.search.trained import TRAINED
from orchestrator.stores.optuna_storage import Storage
from orchestrator.tracking import datasets_page, publish

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

# Of processes that are not there, or about runs and sweeps that stay.
STAYS = shutil.ignore_patterns("*.lock", "*.part", WORKER, IDENTITY, ACROSS, PARENT_RUN)

Progress = Callable[[int, int], None]
"""Hears how much is done, and of how much."""


@dataclass(frozen=True)
class Destination:
    """Where a sweep is carried to, and what it is called there."""

    storage: Storage
    tracker: "MlflowStore | None"  # at the experiment of the sweep; None where it has no runs yet
    home: Path
    tracking_uri: str
    name: str
    id: str
    aside: Path  # a folder, on the home's disk, that its files are put into until it is published

    @property
    def folder(self) -> Path:
        """Of the sweep's files, once it is published."""
        return self.home / SWEEPS / self.name


def title(id: str) -> str:
    """What the Optuna study of a copy is called until it is published."""
    return f"unpublished-{id}"


def carry(book: Book, tracker: "MlflowStore | None", to: Destination, progress: Progress) -> Spec:
    """Copy the sweep, whose runs are in ``tracker`` if it has any; returns its Spec there, to be published with."""
    spec, renaming, notes = book.spec, Renaming({book.spec.id: to.id}), dict[str, Any]()
    if datasets_page.WRITTEN in book.notes():
        notes[datasets_page.WRITTEN] = ""  # the page belongs to several sweeps and stays, so it is written anew there
    runs: list[Any] = []
    if tracker is not None and to.tracker is not None:
        from orchestrator.tracking import model_copy, run_copy

        runs = run_copy.of_sweep(tracker, spec.id, spec.run)
    total, done = len(runs) + len(book.trials()), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    if tracker is not None and to.tracker is not None:
        run_copy.RunCopy(tracker, to.tracker, renaming, spec.name, to.name).copy(runs, to.id, step)
        run_copy.view(tracker, to.tracker, spec.name, to.name)
        model_copy.networks(tracker, to.tracker, runs, renaming)
        address = model_copy.register(to.tracker, model_copy.versions(tracker, spec.name), to.name, renaming)
        crowned = book.notes().get(publish.CHAMPION)
        if crowned is not None:  # without its model it is crowned anew when the sweep goes on
            notes[publish.CHAMPION] = renaming.in_json({**crowned, "address": address}) if address else None
    _files(spec, to, renaming)
    study_copy.make(book, to.storage, title(to.id), renaming, notes, step)
    return _moved(spec, to, renaming)


def publish_copy(spec: Spec, to: Destination) -> None:
    """Make the copy the sweep that it is: its files first, so what is listed is whole."""
    home.mark(spec, to.aside)
    os.rename(to.aside, spec.folder)
    study_copy.publish(to.storage, title(to.id), spec.name, home.stored(spec, str(to.storage.url)))


def _files(spec: Spec, to: Destination, renaming: Renaming) -> None:
    """The sweep's own files, and what it needs of others: its study's file, a trained network, networks that are shared."""
    to.aside.mkdir(parents=True, exist_ok=True)
    if Path(spec.folder).is_dir():
        shutil.copytree(spec.folder, to.aside, ignore=STAYS, ignore_dangling_symlinks=True, dirs_exist_ok=True)
    for place in list(to.aside.rglob(OUTBOX)):
        renaming.in_files(place, (".json", ".jsonl"))
        if to.name != spec.name and outbox.segments(place):
            added = Outbox(place.parent)  # behind what waits, whose length checkpoints remember
            added.tags({"sweep": to.name})
            added.close()
    study, network = study_file(spec), _network(spec)
    if study is not None and not study.is_relative_to(spec.folder):
        shutil.copy2(study, to.aside)
    if network is not None and not network.is_relative_to(spec.folder):
        (to.aside / TRAINED).mkdir()
        for name in (WEIGHTS, MODEL):
            shutil.copy2(network / name, to.aside / TRAINED)
    for shared in Path(spec.cache_folder).glob(f"*{Path(WEIGHTS).suffix}"):
        target = to.home / SWEEPS / CACHE / shared.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f"{target.name}.{to.id}")
            shutil.copy2(shared, part)
            os.replace(part, target)


def study_file(spec: Spec) -> Path | None:
    """The file of a user's own study; None where the study is one of this program's, or its file is gone."""
    path = Path(spec.study_source)
    return path if spec.study.endswith(".py") and path.is_file() else None


def _network(spec: Spec) -> Path | None:
    """The folder of the trained network that the study begins with; None where there is none."""
    path = home.home_of(spec) / str(spec.base.get(TRAINED) or "")
    return path if (path / WEIGHTS).is_file() and (path / MODEL).is_file() else None


def _moved(spec: Spec, to: Destination, renaming: Renaming) -> Spec:
    """The Spec with the paths and ids that hold there."""
    study, network = study_file(spec), _network(spec)
    own = f"{home.HOME}/{SWEEPS}/{to.name}"
    content = home.replaced(renaming.in_json(spec.model_dump(mode="json")), spec.folder, own)
    if network is not None and not network.is_relative_to(spec.folder):
        content = home.replaced(content, str(network), f"{own}/{TRAINED}")
    content = home.replaced(content, str(home.home_of(spec)), home.HOME)
    if study is not None and not study.is_relative_to(spec.folder):
        content["study"] = f"{own}/{study.name}"
    content = home.replaced(content, home.HOME, str(to.home))
    return Spec.model_validate({**content, "name": to.name, "tracking_uri": to.tracking_uri})
