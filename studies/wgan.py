"""Which WGAN settings, with weight clipping or gradient penalty, give legible Persian digits of all ten classes?"""

from studies import _gan

STUDY = _gan.study(
    __doc__,
    losses=["wgan", "wgan_gp"],
    most_critic=8,
    smallest={"network_evaluations": 120, "n_critic": 1, "long_phase": 2, "labels": "critic"},
)
