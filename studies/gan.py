"""Which GAN settings give legible Persian digits of all ten classes?"""

from models.gan.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, _gan, later


def base(shape: ImageShape) -> Config:
    """By the size of the images."""
    return _gan.base(shape, "bce")


def space(suggest: Suggest, base: Config) -> Config:
    """Discriminators: cross-entropy, and the hinge loss with spectral normalisation."""
    return _gan.space(suggest, base, ["bce", "hinge"], most_critic=3)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.gan.training:train"),
    report=later("models.gan.evaluation:report"),
    check=later("models.gan.training:check"),
    objectives=(Objective("fid/generated"),),
    first=(_gan.first("bce"), _gan.first("hinge")),
    data="persian",
    pictures="samples/generated",
    label="{loss}",
    charts=("loss/generator", "loss/critic"),
    restore=later("models.gan.networks:network"),
    takes=_gan.noise,
    sections=(
        *_gan.SECTIONS,
        Section(
            "Is the discriminator calibrated?",
            "Accuracy against confidence of the discriminator on validation and generated images (loss=bce only). On the "
            "diagonal, confidence equals accuracy. A discriminator that is never confident gives no more signal.",
            pictures=("calibration/reliability",),
            numbers=("calibration/",),
        ),
    ),
    sample=later("models.gan.evaluation:draw"),
)
