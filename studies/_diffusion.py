"""What the studies that train diffusion models have in common: the report."""

from collections.abc import Callable, Mapping
from typing import Any

from models.diffusion.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import NEIGHBOURS, OUTLIERS, SCORES

SECTIONS = (
    Section(
        "New images",
        "fid/fresh is of images by the averaged weights, as the sampler's settings say, from the same noise at every evaluation; "
        "fid/raw of images by the weights themselves: where it is better, the average is too slow. Compare with fid/real and "
        "fid/noise. classes/entropy tells a collapse, which legibility does not.",
        pictures=("samples/trajectory", "samples/steps", "samples/interpolation", "samples/forward"),
        numbers=(*SCORES.numbers, "classes/", "cost/"),
    ),
    Section(
        "Errors by the time",
        "Mean squared error of the predicted noise on validation images, in six parts of the times: 1 is near the image, 6 near "
        "noise. The mean of the loss hides which part is not learned.",
        pictures=("noise/signal_to_noise",),
        numbers=("noise_error/",),
    ),
    Section(
        "Likelihood",
        "An upper bound on the bits per dimension of stored images, for the grey levels that the data really have. bits_last is "
        "what x_T still knows of the image, bits_steps the sum over all steps, bits_first the image given x_1.",
        pictures=("likelihood/by_time",),
        numbers=("likelihood/",),
    ),
    Section(
        OUTLIERS.title.replace("the energy", "the error of denoising"),
        "Images are noised part of the way and denoised at once; the error is the score. " + OUTLIERS.text,
        numbers=OUTLIERS.numbers,
    ),
    NEIGHBOURS,
)

REDRAWN = ("steps", "guidance", "label")


def study(
    question: str | None,
    base: Callable[[ImageShape], Config],
    space: Callable[[Suggest, Config], Config],
    label: str,
    trials: int,
    first: tuple[Mapping[str, Any], ...] = ({},),
) -> Study[Config, Any]:
    """A study of diffusion models that asks ``question``, a module's docstring."""
    return Study(
        question=question or "",
        config=Config,
        base=base,
        space=space,
        train=later("models.diffusion.training:train"),
        report=later("models.diffusion.evaluation:report"),
        check=later("models.diffusion.training:check"),
        reports=lambda config: config.evaluations,
        objectives=(Objective("fid/fresh"),),
        trials=trials,
        first=first,
        label=label,
        charts=("loss", "noise_error/1", "noise_error/3", "noise_error/6"),
        restore=later("models.diffusion.networks:network"),
        takes=later("models.diffusion.networks:takes"),
        workload=later("models.diffusion.networks:workload"),
        sample=later("models.diffusion.evaluation:sample"),
        redrawn=REDRAWN,
        sections=SECTIONS,
        smallest={
            "width": 8,
            "heads": 2,
            "timesteps": 20,
            "steps": 4,
            "updates": 20,
            "evaluations": 2,
            "evaluation_samples": 16,
            "bound_images": 8,
            "bound_times": 5,
        },
    )
