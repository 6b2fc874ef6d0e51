"""What the studies of variational autoencoders have in common: the recipe, the space and the report."""

from collections.abc import Callable, Mapping
from typing import Any

from models.vae.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import NEIGHBOURS, OUTLIERS, SCORES


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured at 8×8 and 28×28 on one processor core."""
    side = max(shape[1:])
    if side <= 16:
        return Config(latent_size=8, hidden=128, evaluations=8)
    if side <= 28:
        return Config(head_weight=1_000, updates=3_000, evaluations=8, evaluation_samples=500)
    return Config(
        width=32,
        latent_size=64,
        hidden=512,
        blocks=2,
        head_weight=1_000,
        batch_size=128,
        updates=20_000,
        evaluations=8,
    )


def space(suggest: Suggest, base: Config) -> Config:
    """The code and its price, and how the network learns."""
    most = max(64, 2 * base.latent_size)
    chosen: dict[str, Any] = {
        "latent_size": suggest.suggest_int("latent_size", 2, most, log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 3e-4, 5e-3, log=True),
        "batch_size": suggest.suggest_int("batch_size", 32, 256, log=True),
    }
    if base.latent == "gaussian":
        chosen["beta"] = suggest.suggest_float("beta", 0.1, 10.0, log=True)
        chosen["annealing"] = suggest.suggest_float("annealing", 0.0, 0.6)
        if base.bound == "elbo":
            chosen["free_nats"] = suggest.suggest_float("free_nats", 0.0, 0.5)
    return Config.model_validate(base.model_dump() | chosen)


CLASSIFIER = Section(
    "A classifier on the code, and attacks",
    "Accuracy of the head, and what attacks leave of it. The autoencoder may also stand before the judge, to remove "
    "what an attack added. Read that only where the attack knows the autoencoder (attack on both): an attack on the judge "
    "alone was not made against this defence, and so it flatters it. The picture has real, attacked and purified images.",
    pictures=("adversarial/accuracy", "samples/attacked", "classifier/confusion_validation"),
    numbers=("accuracy/", "adversarial/"),
)
SECTIONS = (
    Section(
        "New images",
        "fid/prior is of images from N(0, I), the prior of training; fid/fitted_prior of a mixture of Gaussians fitted to the "
        "codes of training images. fid/fresh is that of the prior that the settings name, never the better of two. No prior can "
        "pass fid/aggregate, codes of training images with their noise, and fid/reconstructions. Compare with fid/real and "
        "fid/noise.",
        pictures=("samples/fitted_prior", "samples/prior", "reconstructions"),
        numbers=(*SCORES.numbers, "reconstruction/"),
    ),
    Section(
        "The latent space",
        "Traversal: a row for each dimension of the code, ordered by its KL; the last ones may hold nothing. Interpolation: from "
        "an image of a class to one of the next. The map shows the codes of validation images by class. A dimension is "
        "active if its mean varies over images (variance above 0.01). latent/kl_validation is the rate, reconstruction/nats the "
        "distortion, −log p(x | z): their sum is the negative evidence lower bound of validation images.",
        pictures=(
            "samples/traversal",
            "samples/interpolation",
            "latent/map",
            "latent/kl_by_dimension",
        ),
        numbers=("latent/",),
    ),
    Section(
        "Likelihood",
        "Bits per dimension of stored images, for the grey levels that the data really have. All are upper bounds: _elbo by the "
        "evidence lower bound, the others by importance weighting with the number of codes in the name, or with "
        "evaluation_codes. The more effective codes, the nearer the encoder is to the true posterior.",
        pictures=("likelihood/importance", "likelihood/effective"),
        numbers=("likelihood/",),
    ),
    CLASSIFIER,
    Section(OUTLIERS.title.replace("the energy", "the bound"), OUTLIERS.text, numbers=OUTLIERS.numbers),
    NEIGHBOURS,
)


def study(
    question: str | None,
    *objectives: Objective,
    base: Callable[[ImageShape], Config] = base,
    space: Callable[[Suggest, Config], Config] = space,
    first: tuple[Mapping[str, Any], ...] = ({}, {"beta": 0.5}),
    trials: int = 12,
    label: str = "{latent_size} dimensions",
    sections: tuple[Section, ...] = SECTIONS,
) -> Study[Config, Any]:
    """The study of autoencoders that asks ``question``, a module's docstring, and compares trials by ``objectives``."""
    return Study(
        question=question or "",
        config=Config,
        base=base,
        space=space,
        train=later("models.vae.training:train"),
        report=later("models.vae.evaluation:report"),
        check=later("models.vae.training:check"),
        reports=lambda config: config.evaluations,
        objectives=objectives,
        first=first,
        trials=trials,
        label=label,
        charts=("latent/kl", "loss/reconstruction", "latent/beta"),
        restore=later("models.vae.networks:network"),
        takes=lambda config, shape: (config.latent_size,),
        workload=later("models.vae.networks:workload"),
        sample=later("models.vae.evaluation:draw"),
        traverse=later("models.vae.evaluation:traverse"),
        sections=sections,
        smallest={
            "blocks": 0,
            "width": 4,
            "latent_size": 4,
            "hidden": 16,
            "updates": 20,
            "evaluations": 2,
            "evaluation_samples": 32,
            "bound_images": 16,
            "evaluation_codes": 4,
            "mixture_components": 2,
            "head_updates": 10,
        },
    )
