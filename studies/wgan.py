"""Which settings make Wasserstein critics, clipped or penalised, teach a generator to draw legible Persian digits?"""

from models.gan import training as gan
from models.gan.training import Config
from studies import _gan
from studies.parts.study import ImageShape, Objective, Study, Suggest


def base(shape: ImageShape) -> Config:
    """By the size of the images."""
    return _gan.base(shape, "wgan")


def space(suggest: Suggest, base: Config) -> Config:
    """Wasserstein critics: weights clipped, and gradients penalised."""
    return _gan.space(suggest, base, ["wgan", "wgan_gp"], most_critic=8)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=gan.train,
    report=gan.report,
    check=gan.check,
    objectives=(Objective("fid/generated"),),
    first=(_gan.first("wgan"), _gan.first("wgan_gp")),
    data="persian",
    pictures="samples/generated",
    label="{loss}",
    charts=("loss/generator", "loss/critic"),
    restore=gan.network,
    takes=_gan.noise,
    sections=_gan.SECTIONS,
    sample=gan.draw,
)
