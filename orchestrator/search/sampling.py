"""New images by the network of a finished trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from models.data import dataset as datasets
from models.data import kinds
from models.env import Env, derive_seed
from models.events import Images
from orchestrator.errors import UserError
from orchestrator.layout import WEIGHTS, trial_folder
from orchestrator.search import trained
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial
from studies.parts import space
from studies.parts.study import Study, StudyError

if TYPE_CHECKING:
    from torch import Tensor

AT_MOST = 10_000  # images: more fit neither a grid nor a laptop's memory


@dataclass(frozen=True)
class Drawn:
    """New images and the trial that they are by."""

    trial: Trial
    images: Images


OPTIONS = {
    "steps": "--steps",
    "guidance": "--guidance",
    "label": "--class",
}  # of `sweep sample`, by the settings they change


def draw(
    book: Book, number: int | None, n: int, seed: int, device: str, changes: Mapping[str, Any] | None = None
) -> Drawn:
    """``n`` new images by trial ``number``, or by the best one: others for every ``seed``, none that training has seen.

    ``changes`` are settings with which it draws otherwise than it did, by name; a label is the name or number of a class.
    UserError where the study generates none, where the trial is not completed, where its weights are gone, and for changes
    that it cannot draw with.
    """
    changes = _checked(book, changes or {})
    sample = _study(book).sample
    if sample is None:
        raise UserError(
            f"the study {book.spec.study} says of no trial how it makes images; `sweep ui` shows what they logged"
        )

    def changed(config: Any, env: Env, weights: Mapping[str, Tensor]) -> Images:
        return sample(_with(config, changes), env, weights, n)

    return _drawn(book, number, seed, device, changed)


def _checked(book: Book, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, a label as the number of its class."""
    for name in changes:
        if name not in _study(book).redrawn:
            raise UserError(f"{OPTIONS[name]}: the study {book.spec.study} draws without it; leave it out")
    if "label" not in changes:
        return dict(changes)
    data = kinds.load(book.spec.data, Path(book.spec.data_folder), _study(book).data_kind)
    text = str(changes["label"])
    number = _class_number(text, data.classes)
    if number is None:
        raise UserError(f"--class {text}: no such class; there are: {', '.join(data.classes)}")
    return {**changes, "label": number}


def _class_number(text: str, known: Sequence[str]) -> int | None:
    """Of a class that is named, or given by its number, be it that of a class or not; None for another name."""
    if text in known:
        return known.index(text)
    return int(text) if text.isdecimal() else None


def _with(config: Any, changes: Mapping[str, Any]) -> Any:
    try:
        return type(config).model_validate(config.model_dump() | dict(changes))
    except ValidationError as error:
        options = " ".join(f"{OPTIONS[name]} {value}" for name, value in changes.items())
        raise UserError(f"{options}: {space.sentence(error)}") from None


def traverse(book: Book, number: int | None, seed: int, device: str) -> Drawn:
    """The code of one validation image, dimension by dimension, by trial ``number`` or the best one; ``seed`` chooses the image.

    UserError as ``draw``, and where images of the study have no code.
    """
    function = _study(book).traverse
    if function is None:
        raise UserError(f"images of the study {book.spec.study} have no code to traverse; leave out --traverse")
    return _drawn(book, number, seed, device, function)


def edit(book: Book, number: int | None, way: str, classes: str, seed: int, device: str) -> Drawn:
    """Validation images of one class "fuse"d with, or "transfer"red to, another, by trial ``number`` or the best one.

    ``classes`` are two names or numbers with a comma between them; ``seed`` chooses the images. UserError as ``draw``, where the
    study edits no images, and for classes that the data do not have.
    """
    function = _study(book).edit
    if function is None:
        raise UserError(f"the study {book.spec.study} edits no images; leave out --{way}")
    try:
        data = datasets.load(book.spec.data, Path(book.spec.data_folder))
    except datasets.DataError as error:
        raise UserError(f"--{way} edits images of data that cannot be read: {error}") from None
    first, second = _two_classes(way, classes, data.classes)
    present = sorted(set(data.validation.labels.tolist()))  # an official split may lack a class
    missing = [label for label in ((first, second) if way == "fuse" else (first,)) if label not in present]
    if missing:
        name, there = data.classes[missing[0]], ", ".join(data.classes[label] for label in present)
        raise UserError(f"--{way} {classes}: no validation image is of class {name}; there are: {there}")

    def edited(config: Any, env: Env, weights: Mapping[str, Tensor]) -> Images:
        return function(config, env, weights, way, first, second)

    return _drawn(book, number, seed, device, edited)


def _two_classes(way: str, text: str, known: Sequence[str]) -> tuple[int, int]:
    if len(known) < 2:
        raise UserError(f"--{way} needs two classes, and the data have one, {known[0]}; leave out --{way}")
    numbers = []
    for name in (part.strip() for part in text.split(",")):
        number = _class_number(name, known)
        if number is None or number >= len(known):
            raise UserError(f"--{way} {text}: no class '{name}'; there are: {', '.join(known)}")
        numbers.append(number)
    if len(numbers) != 2 or len({*numbers}) != 2:
        raise UserError(f"--{way} {text}: two different classes are needed, such as --{way} {known[0]},{known[-1]}")
    return numbers[0], numbers[1]


def _study(book: Book) -> Study[Any, Any]:
    try:
        return book.study
    except StudyError as error:
        raise UserError(str(error)) from None


def _drawn(
    book: Book, number: int | None, seed: int, device: str, function: Callable[[Any, Env, Mapping[str, Tensor]], Images]
) -> Drawn:
    spec, trial, study = book.spec, completed(book, number), _study(book)
    if absent := trained.absent(study, spec.base, spec.model_digest):
        raise UserError(f"'{spec.name}' can draw no images: {absent}; {trained.PUT_BACK}")
    weights = trial_folder(spec.folder, trial.number) / WEIGHTS
    if not weights.exists() and not study.model_of:
        raise UserError(
            f"the weights of trial {trial.number} are not in {weights.parent} any more; choose another trial"
        )
    env = Env(
        spec.data, derive_seed(seed, "new", trial.number), device, Path(spec.data_folder), Path(spec.cache_folder)
    )
    try:
        stored = trained.weights(weights.parent) if weights.exists() else {}
        return Drawn(trial, function(book.config(trial), env, stored))
    except datasets.DataError as error:
        raise UserError(f"trial {trial.number} cannot draw without its data: {error}") from None


def completed(book: Book, number: int | None) -> Trial:
    """A completed trial by its number, or the best one; UserError, with those that there are, where it is none."""
    best = book.best()
    if not best:
        raise UserError(
            f"no trial of '{book.spec.name}' is completed; `sweep show {book.spec.name}` tells how each ended"
        )
    if number is None:
        return best[0]
    done = {trial.number: trial for trial in book.trials("complete")}
    if number not in done:
        numbers = ", ".join(map(str, list(done)[:12])) + (" …" if len(done) > 12 else "")
        raise UserError(f"trial {number} of '{book.spec.name}' is not completed; these are: {numbers}")
    return done[number]
