"""Which flow brings noisy point clouds back to their surface, and does it beat a plane through the neighbours?"""

from typing import Any

from models.points.config import Config
from studies import Objective, Section, Study, Suggest, later


def base(shape: tuple[int, ...]) -> Config:
    """By the points of a clean cloud, of which three samples are needed: 512 points, fewer where there are not so many."""
    return Config(points=max(64, min(512, shape[0] // 3)))


def space(suggest: Suggest, base: Config) -> Config:
    """How noise leaves the code, what a point knows of its neighbourhood, how large the flow is, and how it learns."""
    chosen: dict[str, Any] = {
        "disentangle": suggest.suggest_categorical("disentangle", ["mask", "consistency"]),
        "features": suggest.suggest_categorical("features", ["offsets", "planes"]),
        "neighbours": suggest.suggest_categorical("neighbours", [8, 16, 32]),
        "augmentation": suggest.suggest_int("augmentation", 4, 32, log=True),
        "steps": suggest.suggest_int("steps", 2, 6),
        "nll_weight": suggest.suggest_float("nll_weight", 1e-6, 1e-2, log=True),
        "paired": suggest.suggest_float("paired", 0.03, 3.0, log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
    }
    if chosen["disentangle"] == "mask":
        chosen["masked"] = min(base.masked, chosen["augmentation"])
    else:
        chosen["consistency"] = suggest.suggest_float("consistency", 1e-4, 1e-1, log=True)
    return Config.model_validate(base.model_dump() | chosen)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.points.training:train"),
    report=later("models.points.evaluation:report"),
    check=later("models.points.training:check"),
    reports=lambda config: config.evaluations,
    objectives=(Objective("surface/denoised"),),
    fresh="surface/denoised",
    pictures="samples/denoised",
    data="shapes",
    data_kind="clouds",
    first=({}, {"disentangle": "consistency"}),
    label="{disentangle}, {steps} steps",
    charts=("loss/surface", "loss/nll", "chamfer/denoised"),
    restore=later("models.points.networks:network"),
    takes=later("models.points.networks:takes"),
    workload=later("models.points.networks:workload"),
    sample=later("models.points.evaluation:draw"),
    sections=(
        Section(
            "Distance to the surface",
            "Mean squared distance of points to the nearest triangle, in 1e-4 of the squared radius, over noise of σ = 0.01 to "
            "0.04. Beside it what the noisy clouds have, and what three denoisers make of them that learn nothing: a plane "
            "through 8 or 16 neighbours, the mean of 8 neighbours. Columns of the picture: clean, noisy, plane of 8, denoised; "
            "blue points lie on the surface, red ones 0.06 from it or more.",
            pictures=("surface/by_sigma", "surface/distances", "surface/by_iteration"),
            numbers=("surface/", "surface_0.01/", "surface_0.02/", "surface_0.03/", "surface_0.04/"),
        ),
        Section(
            "The noise of ModelNet40-C",
            "The same distance for its five noise corruptions at severities 1 to 5; numbers are means over severities. The "
            "picture has background points of severity 5, in the same columns.",
            pictures=(
                "samples/background",
                *(f"corruptions/{name}" for name in ("uniform", "gaussian", "impulse", "upsampling", "background")),
            ),
            numbers=tuple(
                f"surface_{name}/" for name in ("uniform", "gaussian", "impulse", "upsampling", "background")
            ),
        ),
        Section(
            "Chamfer distance, evenness, and a classifier",
            "Chamfer distance (both directions, squared, in 1e-4) to a fresh clean sample of as many points; chamfer/floor is "
            "that of another clean sample, and is most of it. Unevenness is the deviation of distances to the nearest point over "
            "their mean: a denoiser that clumps points makes it larger, and spacing, their median, smaller. Accuracy is of a "
            "small PointNet, trained on clean clouds; corruptions are of severity 5.",
            numbers=("chamfer/", "hausdorff/", "unevenness/", "spacing/", "accuracy/", "accuracy_background/", "flow/"),
        ),
    ),
    smallest={
        "points": 64,
        "neighbours": 8,
        "augmentation": 4,
        "masked": 3,
        "steps": 2,
        "width": 8,
        "batch_size": 2,
        "updates": 20,
        "evaluations": 2,
        "evaluation_clouds": 2,
    },
)
