"""Which transformer over the tokens of an image predicts them best in a budget of minutes?"""

from models.autoregressive.config import ImageGPTConfig
from studies import ImageShape, Suggest, _image_gpt


def base(shape: ImageShape) -> ImageGPTConfig:
    """By the size of the images: measured on Persian digits at 28×28, whose 2×2 patches are 16 tokens without loss."""
    common = {"position": "context", "learning_rate": 4e-3, "batch_size": 16, "heads": 4}
    if max(shape[1:]) <= 16:
        recipe: dict[str, float] = {"levels": 17, "width": 32, "layers": 3, "updates": 1_500, "evaluation_samples": 300}
    elif max(shape[1:]) <= 28:
        recipe = {"patch": 2, "width": 32, "layers": 3, "updates": 600, "evaluation_samples": 1_000}
    else:
        recipe = {"patch": 2, "width": 64, "layers": 8, "updates": 25_000, "dropout": 0.1}
    return ImageGPTConfig.model_validate(common | recipe)


def space(suggest: Suggest, base: ImageGPTConfig) -> ImageGPTConfig:
    """The size of the network, what a place knows of its position, and how it is trained."""
    chosen = {
        "width": suggest.suggest_int("width", 16, 64, step=16),
        "layers": suggest.suggest_int("layers", 2, 8),
        "heads": suggest.suggest_categorical("heads", [1, 2, 4]),
        "position": suggest.suggest_categorical("position", ["none", "learned", "context"]),
        "learning_rate": suggest.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
        "batch_size": suggest.suggest_int("batch_size", 8, 64, log=True),
        "dropout": suggest.suggest_float("dropout", 0.0, 0.2),
        "deformation": suggest.suggest_float("deformation", 0.0, 0.2),
    }
    if base.levels == 2:
        chosen["patch"] = suggest.suggest_categorical("patch", [1, 2])
    return ImageGPTConfig.model_validate(base.model_dump() | chosen)


STUDY = _image_gpt.study(
    __doc__,
    base,
    space,
    label="{width} × {layers} × {heads}, {position}",
    smallest={"width": 8, "layers": 2, "heads": 2},
    trials=8,
)
