"""What the studies of generative adversarial networks have in common: the recipe, the space and the report."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from models.gan.config import RECIPES, Config, Loss
from studies import ImageShape, Objective, Section, Study, Suggest, later


def base(shape: ImageShape, loss: Loss) -> Config:
    """By the size of the images: measured on Persian digits at 28×28. No labels, as the assignment has it."""
    side = max(shape[1:])
    if side <= 16:
        return Config(loss=loss, latent_size=64, evaluation_samples=300)
    if side <= 28:
        of_updates = {"hidden_classes": 64, "zero_penalty_every": 4, "ema_decay": 0.998, "network_evaluations": 34_000}
        return Config(loss=loss, latent_size=64, batch_size=32, **of_updates)
    return Config(loss=loss, width=64, network_evaluations=400_000, ema_decay=0.999)


def noise(config: Config, shape: ImageShape) -> tuple[int, ...]:
    """What a generator makes an image of."""
    return (config.generator_inputs,)


def first(loss: Loss) -> dict[str, Any]:
    """The recipe of a loss, as far as it is searched."""
    searched = ["generator_learning_rate", "critic_learning_rate", "n_critic"]
    searched += ["beta1"] if RECIPES[loss]["optimizer"] == "adam" else []
    searched += {"bce": ["zero_penalty"], "wgan": ["clip"]}.get(loss, [])
    return {"loss": loss} | {name: RECIPES[loss][name] for name in searched}


def space(suggest: Suggest, base: Config, losses: list[Loss], most_critic: int) -> Config:
    """Both learning rates, both networks' size, how often the critic learns, and what each loss has of its own."""
    chosen: dict[str, Any] = {
        "loss": suggest.suggest_categorical("loss", losses),
        "generator_learning_rate": suggest.suggest_float("generator_learning_rate", 5e-5, 2e-3, log=True),
        "critic_learning_rate": suggest.suggest_float("critic_learning_rate", 5e-5, 2e-3, log=True),
        "latent_size": suggest.suggest_int("latent_size", 16, 128, log=True),
        "n_critic": suggest.suggest_int("n_critic", 1, most_critic),
        "batch_size": suggest.suggest_int("batch_size", 32, 128, log=True),
        "width": suggest.suggest_int("width", base.width // 2, base.width * 2, log=True),
    }
    loss: Loss = chosen["loss"]
    if (base.optimizer or RECIPES[loss]["optimizer"]) == "adam":
        chosen["beta1"] = suggest.suggest_float("beta1", 0.0, 0.9)
    if loss == "bce":
        chosen["zero_penalty"] = suggest.suggest_float("zero_penalty", 0.1, 10.0, log=True)
        chosen["label_smoothing"] = suggest.suggest_float("label_smoothing", 0.0, 0.2)
    if loss == "wgan":
        chosen["clip"] = suggest.suggest_float("clip", 0.1, 1.0, log=True)
    if loss == "wgan_gp":
        chosen["penalty"] = suggest.suggest_float("penalty", 1.0, 30.0, log=True)
    return Config.model_validate(base.model_dump() | chosen)


SECTIONS = (
    Section(
        "Quality of generated images",
        "FID, precision, recall, density and coverage compare images of the averaged generator with validation images, in the "
        "features of the judge. Compare them with the values for real images and for noise. Losses do not measure quality.",
        pictures=("samples/interpolation", "fid/over_epochs"),
        numbers=("fid/", "coverage/", "density/", "precision/", "recall/", "kid/"),
    ),
    Section(
        "Classes and legibility",
        "According to the judge. An entropy far below that of real images means mode collapse. legibility/share is the share of "
        "images that the judge classifies with a confidence above 0.9. Read the two together: black images are all classified "
        "with confidence, as one class.",
        pictures=("classes/shares", "samples/nearest_training"),
        numbers=("classes/", "legibility/", "distance/"),
    ),
    Section(
        "The critic",
        "critic/auroc: how well the critic separates validation images from generated ones (0.5: not at all). critic/auroc_seen: "
        "how well it separates training images from validation images, which shows overfitting. critic/slope: the norm of its "
        "gradient with respect to an image.",
        pictures=("critic/weights",),
        numbers=("critic/",),
    ),
)


def study(
    question: str | None,
    losses: list[Loss],
    most_critic: int,
    smallest: Mapping[str, Any],
    sections: tuple[Section, ...] = (),
) -> Study[Any, Any]:
    """The study of ``losses``, the first of which is the recipe's, that asks ``question``, a module's docstring.

    The critic learns up to ``most_critic`` times in an update. ``sections`` and ``smallest`` are its own, beside what all have.
    """
    return Study(
        question=question or "",
        config=Config,
        base=partial(base, loss=losses[0]),
        space=partial(space, losses=losses, most_critic=most_critic),
        train=later("models.gan.training:train"),
        report=later("models.gan.evaluation:report"),
        check=later("models.gan.training:check"),
        reports=lambda config: config.evaluations,
        objectives=(Objective("fid/generated"),),
        first=tuple(first(loss) for loss in losses),
        data="persian",
        fresh="fid/generated",
        pictures="samples/generated",
        label="{loss}",
        charts=("loss/generator", "loss/critic"),
        restore=later("models.gan.networks:network"),
        workload=later("models.gan.networks:workload"),
        takes=noise,
        sections=(*SECTIONS, *sections),
        sample=later("models.gan.evaluation:draw"),
        smallest={"width": 2, "latent_size": 4, "evaluation_samples": 32, "evaluations": 2, **smallest},
    )
