"""What the studies of autoregressive models have in common: the objective, the report, how networks are kept and drawn from."""

from collections.abc import Callable, Mapping
from typing import Any

from models.autoregressive.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import NEIGHBOURS, SCORES

LIKELIHOOD = Section(
    "Likelihood",
    "Bits per dimension of validation images, exact, with their standard error over images. Compare them with independent (each "
    "pixel with its place's frequencies), one_rate (one distribution for all pixels) and uniform. gap is what training images "
    "have less: learned by heart. own_samples are new images: far fewer bits than validation images mean loops of low entropy. "
    "best is the best evaluation. A pixel whose bits are high is hard to predict: the map shows where, the bars in which class.",
    pictures=("likelihood/bits_by_place", "likelihood/bits_by_class", "calibration/reliability"),
    numbers=("likelihood/", "calibration/"),
)
WRITTEN = Section(
    "How images are written",
    "New images growing row by row; what is not written yet is grey. Completions: the given half, six ways to go on, and the "
    "original image last.",
    pictures=("samples/growing", "samples/completions"),
)
LEGIBILITY = Section(
    "Classes and legibility",
    "According to the judge. legibility/share is the share of images that it classifies with a confidence above 0.9. Likelihood "
    "and legibility disagree: a model may be sure of every stroke and of no figure.",
    numbers=("legibility/", "classes/"),
)
STRANGERS = Section(
    "Out-of-distribution detection",
    "AUROC: the probability that an image of another kind is stranger than a validation image. ood_auroc by likelihood alone, "
    "which finds simple images likely (below 0.5); ood_auroc_complexity subtracts the bits of a PNG or LZMA code; "
    "ood_auroc_typicality counts images as strange that are more likely than training images, too. No score is best for all.",
    numbers=("ood_auroc/", "ood_auroc_complexity/", "ood_auroc_typicality/"),
)
COST = Section(
    "Cost",
    "Floating-point operations of the training and of one new image, counted; free parameters of the network. A full table over "
    "all images would have as many parameters as the fact network/table_digits has decimal digits.",
    numbers=("cost/", "network/"),
)


def study(
    question: str | None,
    config: type[Config],
    base: Callable[[ImageShape], Any],
    space: Callable[[Suggest, Any], Any],
    smallest: Mapping[str, Any],
    label: str,
    sections: tuple[Section, ...],
    first: tuple[Mapping[str, Any], ...] = ({},),
) -> Study[Any, Any]:
    """The study that asks ``question``, a module's docstring, over ``config``."""
    return Study(
        question=question or "",
        config=config,
        base=base,
        space=space,
        train=later("models.autoregressive.training:train"),
        report=later("models.autoregressive.evaluation:report"),
        check=later("models.autoregressive.networks:check"),
        reports=lambda config: config.evaluations,
        objectives=(Objective("likelihood/bits_per_dimension"),),
        first=first,
        data="persian",
        label=label,
        charts=("loss/bits_per_dimension", "likelihood/bits_per_dimension"),
        restore=later("models.autoregressive.networks:network"),
        workload=later("models.autoregressive.networks:workload"),
        takes=later("models.autoregressive.networks:takes"),
        sample=later("models.autoregressive.evaluation:draw"),
        sections=(LIKELIHOOD, WRITTEN, *sections, SCORES, LEGIBILITY, NEIGHBOURS, STRANGERS, COST),
        smallest={"evaluation_samples": 32, "evaluations": 2, "updates": 12, "batch_size": 8, **smallest},
    )
