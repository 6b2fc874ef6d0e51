"""What scores need of data and of files: asked before anything starts."""

from models.data.dataset import Data, DataError
from models.parts.evaluation import inception
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
