"""What the studies of joint energy-based models have in common: the recipe and the space."""

from models.jem import Config
from studies._study import ImageShape, Suggest


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured at 8×8; beyond, the published recipes as far as they carry over."""
    side = max(shape[1:])
    if side <= 16:
        return Config()
    if side <= 28:
        return Config(pretrain_updates=3_000, buffer_size=10_000, network_evaluations=200_000, n_steps=20, width=32)
    return Config(
        network="wide_resnet",
        width=160,
        activation="leaky_relu",
        precision="auto",
        pretrain_updates=20_000,
        augmentation="shift_flip",
        buffer_size=10_000,
        learning_rate=1e-4,
        warmup=1_000,
        n_steps=20,
        mixture_rank=128,
        network_evaluations=2_000_000,
    )


def space(suggest: Suggest, base: Config) -> Config:
    """Chains, learning and what the likelihood weighs against the labels; the two switches are those of JEM++."""
    chosen = {
        "start": suggest.suggest_categorical("start", ["noise", "mixture"]),
        "sampler": suggest.suggest_categorical("sampler", ["langevin", "proximal"]),
        "step_size": suggest.suggest_float("step_size", 0.3, 10.0, log=True),
        "n_steps": suggest.suggest_int("n_steps", max(5, base.n_steps // 4), base.n_steps * 2, log=True),
        "noise": suggest.suggest_float("noise", 1e-3, 3e-2, log=True),
        "likelihood_weight": suggest.suggest_float("likelihood_weight", 0.03, 1.0, log=True),
        "learning_rate": suggest.suggest_float(
            "learning_rate", base.learning_rate / 5, base.learning_rate * 3, log=True
        ),
    }
    if chosen["sampler"] == "proximal":
        chosen["clamp"] = suggest.suggest_float("clamp", 0.05, 1.0, log=True)
    return Config.model_validate(base.model_dump() | chosen)
