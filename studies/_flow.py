"""What the studies that train flows have in common: the report and its words."""

from collections.abc import Callable, Mapping
from typing import Any

from models.flow.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import NEIGHBOURS, SCORES

SECTIONS = (
    Section(
        "Likelihood",
        "Bits per dimension of stored validation images, for the grey levels that the data really have: upper bounds, for a "
        "flow gives a density and each pixel is drawn within the cell of its level, four times. …_importance takes the mean of "
        "the four densities, a tighter bound; …_train is of training images. Pixels that take each level equally often have "
        "log₂ of the levels.",
        numbers=("likelihood/",),
    ),
    Section(
        "New images",
        "Standard normal noise, backwards through the flow. Bits and FID disagree: a flow may explain every pixel and still draw "
        "images of no class. flow/outside is the share of drawn pixels that are no image's, flow/inverse_error the largest "
        "difference of a pixel in [0, 1] from itself after the flow and its inverse. Compare with fid/real and fid/noise.",
        numbers=("flow/", *SCORES.numbers, "classes/", "cost/"),
    ),
    Section(
        "Edits",
        "Noise of real images, changed and decoded. samples/temperature: a row each for 0.5 to 1.3, of the same noise. "
        "edits/noise: noise added at one scale alone, the finest scale first; the last column has only noise there. "
        "edits/transfer: images moved from the mean noise of one class to that of another, by amounts from 0 to 2; the curve is "
        "the share that the judge reads as the target. edits/transferred is its mean at an amount of 1, edits/transferred_least "
        "the lowest of the pairs of classes. edits/attributes: by brightness and width, computed from pixels without labels. "
        "edits/fusion: two images, by noise, by its great circle and by pixels. A straight line shrinks the norm of noise on its "
        "way; edits/fusion_norm shows it.",
        pictures=(
            "samples/temperature",
            "edits/noise",
            "edits/transfer",
            "edits/transfer_classes",
            "edits/transfer_distances",
            "edits/attributes",
            "edits/fusion",
            "edits/fusion_classes",
            "edits/fusion_norm",
        ),
        numbers=("edits/",),
    ),
    Section(
        "Strangers: is it of the data?",
        "AUROC: the chance that an image of another kind is stranger than a validation image; 0.5: not distinguished. By "
        "likelihood, images that are simpler than the data are often found likelier, with an AUROC far below 0.5. That is no "
        "fault of this training: it is what is published (Nalisnick et al. 2019). A flow explains a pixel by those around it, "
        "so few details cost few bits, whatever they show. complexity mends it: it subtracts the bits of a general code, PNG or "
        "LZMA, so being simple is no merit. ratio subtracts what a background flow knows, which was trained on images with noise "
        "and so knows texture alone. typicality also takes images that are too likely as strange; gradient is the norm of "
        "∂ log p / ∂x, latent that of the noise. own and hot are the flow's samples at temperature 1 and 1.3. None was chosen by "
        "its result.",
        pictures=("samples/strangers", "ood/likelihood", "ood/complexity", "ood/ratio", "ood/typicality"),
        numbers=(
            "ood_auroc_likelihood/",
            "ood_auroc_complexity/",
            "ood_auroc_ratio/",
            "ood_auroc_typicality/",
            "ood_auroc_gradient/",
            "ood_auroc_latent/",
        ),
    ),
    NEIGHBOURS,
)
SMALLEST = {
    "width": 4,
    "steps": 1,
    "updates": 20,
    "evaluations": 2,
    "evaluation_samples": 16,
    "likelihood_images": 16,
    "background_updates": 5,
}


def study(
    question: str | None,
    base: Callable[[ImageShape], Config],
    space: Callable[[Suggest, Config], Config],
    label: str,
    first: tuple[Mapping[str, Any], ...] = ({},),
    smallest: Mapping[str, Any] = SMALLEST,
    sections: tuple[Section, ...] = SECTIONS,
) -> Study[Config, Any]:
    """A study of flows that asks ``question``, a module's docstring, and compares trials by bits per dimension."""
    return Study(
        question=question or "",
        config=Config,
        base=base,
        space=space,
        train=later("models.flow.training:train"),
        report=later("models.flow.evaluation:report"),
        check=later("models.flow.training:check"),
        reports=lambda config: config.evaluations,
        objectives=(Objective("likelihood/bits_per_dimension"),),
        first=first,
        label=label,
        charts=("likelihood/training_bits", "flow/inverse_error", "training/gradient_norm"),
        restore=later("models.flow.networks:network"),
        workload=later("models.flow.networks:workload"),
        sample=later("models.flow.evaluation:sample"),
        edit=later("models.flow.edits:edit"),
        sections=sections,
        smallest=smallest,
    )
