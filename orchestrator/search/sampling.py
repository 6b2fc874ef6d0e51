"""New images by the network of a finished trial."""

from dataclasses import dataclass
from pathlib import Path

from models.data import dataset as datasets
from models.env import Env, derive_seed
from models.events import Images
from orchestrator.errors import UserError
from orchestrator.layout import WEIGHTS, trial_folder
from orchestrator.search import trained
from orchestrator.search.book import Book
from orchestrator.search.trials import Trial
from studies.parts.study import StudyError

AT_MOST = 10_000  # images: more fit neither a grid nor a laptop's memory


@dataclass(frozen=True)
class Drawn:
    """New images and the trial that they are by."""

    trial: Trial
    images: Images


def draw(book: Book, number: int | None, n: int, seed: int, device: str) -> Drawn:
    """``n`` new images by trial ``number``, or by the best one: others for every ``seed``, none that training has seen.

    UserError where the study generates none, where the trial is not completed, and where its weights are gone.
    """
    spec = book.spec
    try:
        sample = book.study.sample
    except StudyError as error:
        raise UserError(str(error)) from None
    if sample is None:
        raise UserError(
            f"the study {spec.study} says of no trial how it makes images; `sweep ui` shows what they logged"
        )
    trial = completed(book, number)
    weights = trial_folder(spec.folder, trial.number) / WEIGHTS
    if not weights.exists() and not book.study.model_of:
        raise UserError(
            f"the weights of trial {trial.number} are not in {weights.parent} any more; choose another trial"
        )
    env = Env(
        spec.data, derive_seed(seed, "new", trial.number), device, Path(spec.data_folder), Path(spec.cache_folder)
    )
    try:
        return Drawn(
            trial, sample(book.config(trial), env, trained.weights(weights.parent) if weights.exists() else {}, n)
        )
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
