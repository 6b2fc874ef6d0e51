"""Which WGAN settings, with weight clipping or gradient penalty, give legible Persian digits?"""

from models.gan.config import Config
from studies import ImageShape, Objective, Study, Suggest, _gan, later


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
    train=later("models.gan.training:train"),
    report=later("models.gan.evaluation:report"),
    check=later("models.gan.training:check"),
    objectives=(Objective("fid/generated"),),
    first=(_gan.first("wgan"), _gan.first("wgan_gp")),
    data="persian",
    pictures="samples/generated",
    label="{loss}",
    charts=("loss/generator", "loss/critic"),
    restore=later("models.gan.networks:network"),
    takes=_gan.noise,
    sections=_gan.SECTIONS,
    sample=later("models.gan.evaluation:draw"),
)
