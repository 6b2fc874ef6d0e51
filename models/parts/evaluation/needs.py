"""What scores need of data and of files: asked before anything starts."""

from models.data.dataset import Data, DataError
from models.parts.evaluation import inception
from models.parts.evaluation.judge import N_FEATURES
from models.parts.evaluation.metrics import NEAREST

LEAST = NEAREST + 2  # validation images: those that precision and recall look at, and more than FID needs


def refuse(data: Data, inception_weights: str | None) -> None:
    """Raises DataError where there are too few validation images for scores, or Inception's weights cannot be used."""
    inception.refuse(inception_weights)
    present, total = len(data.validation), sum(data.sizes.values())
    if present >= LEAST:
        return
    share = present / total
    wanted = next(n for n in range(total + 1, 100 * LEAST + total) if round(n * share) >= LEAST)
    raise DataError(
        f"'{data.name}' has {present} validation images among its {total}, and scores need {LEAST}; add images until there "
        f"are {wanted}"
    )


def caution(data: Data, new: int) -> str:
    """What is to be said beside every FID against the validation images of ``data``, with ``new`` images; '' for many.

    From no more images than there are features the covariance is singular, and FID is mostly the chance of who is among them.
    """
    real = len(data.validation)
    if min(real, new) > N_FEATURES:
        return ""
    way_out = "add images" if real <= N_FEATURES else f"raise evaluation_samples above {N_FEATURES}"
    return (
        f"FID is of {real} real and {new} new images, too few for the {N_FEATURES} features of the judge: it is high and mostly "
        f"chance; {way_out}"
    )


def refuse_unlabelled(data: Data) -> None:
    """Raises DataError where images have no classes, for models of images and labels."""
    if not data.has_classes:
        raise DataError(
            f"'{data.name}' has one class, and this study needs two; add images of a second, or take a study that looks at "
            "no labels, such as ebm, gan, vae or diffusion"
        )


def refuse_other_classes(data: Data, classes: int) -> None:
    """Raises DataError where a model with ``labels`` and so many ``classes`` cannot learn those of the images."""
    if not data.has_classes:
        raise DataError(f"'{data.name}' has no classes that could be told; use --set labels=False")
    if classes != len(data.classes):
        raise DataError(
            f"classes={classes} and '{data.name}' has {len(data.classes)}; use --set classes={len(data.classes)}"
        )
