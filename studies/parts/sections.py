"""Sections of a report that several studies share."""

from studies.parts.study import Section

SCORES = Section(
    "Scores and their reference values",
    "fid/fresh is the score of new images. Compare it with fid/real (real training images, a practical lower bound) "
    "and with fid/noise (uniform noise). fid/start scores the points where chains start; fid/mixture scores samples of a "
    "Gaussian per class, fitted to the training images: a model should beat it. Scores of a replay buffer look better "
    "than they are. Precision and density measure how many images look real; recall and coverage measure how "
    "many kinds of real images the samples include.",
    numbers=("fid/", "kid/", "precision/", "recall/", "density/", "coverage/"),
)
CHAINS = Section(
    "Chains and energies",
    "Step size and noise along a chain. Chains on their way, one in each row: its start, then after 1, 2, 4, 8 … steps; "
    "chains with labels have the classes in turn, each held fixed. The mean energy of fresh chains beyond the length at "
    "which they are scored, with that of real images. If it still falls, the chains have not converged. Drift is its "
    "slope per step, up to 1, 4 and 16 times the length of training chains. Split R̂ above 1.01 means that the chains "
    "have not reached the same distribution.",
    pictures=("chain/schedule", "samples/along_chain", "chain/energy"),
    numbers=("energy/", "chain/"),
)
NEIGHBOURS = Section(
    "Are they copies?",
    "Each sample above its nearest training image. Compare the mean distance with that of real validation images: "
    "copies would be much nearer.",
    pictures=("samples/nearest_training",),
    numbers=("distance/",),
)
OUTLIERS = Section(
    "Out-of-distribution detection by the energy",
    "AUROC: the probability that an image of another data set has a higher energy than a validation image. 1: always "
    "detected; 0.5: not distinguished; below 0.5: the model finds these images more likely than the data.",
    numbers=("ood_auroc/",),
)
