"""How well does the smallest published Image GPT do: embedding 16, 8 layers, 2 heads, vocabulary 16?"""

from models.autoregressive.config import ImageGPTConfig
from studies import ImageShape, Suggest, _image_gpt


def base(shape: ImageShape) -> ImageGPTConfig:
    """The published size; 16 tokens are the patches of 2×2 binary pixels, or 16 levels of k-means where images are small."""
    size = {"width": 16, "layers": 8, "heads": 2, "position": "learned", "warmup": 100}
    if max(shape[1:]) <= 16:
        recipe = {"levels": 16, "palette": "kmeans", "updates": 1_000, "evaluation_samples": 300}
    else:
        recipe = {"patch": 2, "updates": 4_500, "evaluation_samples": 1_000}
    return ImageGPTConfig.model_validate(size | {"learning_rate": 4e-3, "batch_size": 16} | recipe)


def space(suggest: Suggest, base: ImageGPTConfig) -> ImageGPTConfig:
    """How it is trained, and whether the tokens above help it."""
    chosen = {
        "position": suggest.suggest_categorical("position", ["learned", "context"]),
        "learning_rate": suggest.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
        "batch_size": suggest.suggest_int("batch_size", 8, 64, log=True),
        "dropout": suggest.suggest_float("dropout", 0.0, 0.2),
    }
    return ImageGPTConfig.model_validate(base.model_dump() | chosen)


STUDY = _image_gpt.study(
    __doc__,
    base,
    space,
    label="{position}, rate {learning_rate:.2g}",
    smallest={"layers": 2},
    trials=2,
)
