"""Which normalising flow gives images the highest likelihood in a budget of minutes: RealNVP or GLOW, of which size?"""

from typing import Any

from models.flow.config import Config
from studies import ImageShape, Suggest
from studies._flow import study


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured at 8×8 and 28×28 on one processor core; larger ones are for a GPU."""
    side = max(shape[1:])
    if side <= 16:
        return Config(logit=1e-6, updates=1_500)
    if side <= 28:
        return Config(
            logit=1e-6,
            steps=6,
            width=64,
            batch_size=32,
            updates=6_000,
            evaluation_samples=500,
        )
    return Config(logit=0.05, scales=3, steps=16, width=256, updates=50_000, learning_rate=1e-3)


def space(suggest: Suggest, base: Config) -> Config:
    """How channels are mixed, how a coupling scales, and how the flow learns."""
    chosen: dict[str, Any] = {
        "mixing": suggest.suggest_categorical("mixing", ["convolution", "shuffle", "reverse", "checkerboard"]),
        "coupling": suggest.suggest_categorical("coupling", ["affine", "additive"]),
        "logit": suggest.suggest_categorical("logit", [0.0, 1e-6, 0.01, 0.05]),
        "steps": suggest.suggest_int("steps", min(2, base.steps), max(8, base.steps)),
        "width": suggest.suggest_int("width", min(16, base.width), max(96, base.width), log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 3e-4, 6e-3, log=True),
        "batch_size": suggest.suggest_int("batch_size", 32, 128, log=True),
    }
    if chosen["coupling"] == "affine":
        chosen["scale"] = suggest.suggest_categorical("scale", ["tanh", "sigmoid"])
        if chosen["scale"] == "tanh":
            chosen["bound"] = suggest.suggest_float("bound", 1.0, 6.0)
    return Config.model_validate(base.model_dump() | chosen)


STUDY = study(
    __doc__, base, space, "{mixing}, {coupling}, {steps} steps of {width}", first=({}, {"mixing": "checkerboard"})
)
