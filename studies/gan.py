"""Which GAN settings give legible Persian digits of all ten classes?"""

from studies import Section, _gan

STUDY = _gan.study(
    __doc__,
    losses=["bce", "hinge"],
    most_critic=3,
    smallest={"network_evaluations": 60, "straight_through": True},
    sections=(
        Section(
            "Is the discriminator calibrated?",
            "Accuracy against confidence of the discriminator on validation and generated images (loss=bce only). On the "
            "diagonal, confidence equals accuracy. A discriminator that is never confident gives no more signal.",
            pictures=("calibration/reliability",),
            numbers=("calibration/",),
        ),
    ),
)
