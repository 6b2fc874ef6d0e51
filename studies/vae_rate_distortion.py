"""How many nats must a code hold, and what do they buy in reconstruction?"""

from models.vae.config import Config
from studies import ImageShape, Objective, Suggest
from studies import _vae as autoencoders


def base(shape: ImageShape) -> Config:
    """That of `vae` without free nats, which would hide what a low β does, and without a classifier."""
    return autoencoders.base(shape).model_copy(update={"free_nats": 0.0, "head": "none"})


def space(suggest: Suggest, base: Config) -> Config:
    """β alone: each is the slope of the curve at another place (Alemi et al. 2018, arXiv:1711.00464)."""
    beta = suggest.suggest_float("beta", 0.01, 4.0, log=True)
    return Config.model_validate(base.model_dump() | {"beta": beta})


STUDY = autoencoders.study(
    __doc__,
    Objective("latent/kl_validation"),
    Objective("reconstruction/nats"),
    base=base,
    space=space,
    first=tuple({"beta": beta} for beta in (1.0, 0.05, 0.2, 0.5, 2.0, 0.1, 1.5, 0.02)),
    trials=8,
    label="β {beta:.3g}",
    sections=tuple(section for section in autoencoders.SECTIONS if section != autoencoders.CLASSIFIER),
)
