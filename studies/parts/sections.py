"""Parts of a report that several studies have in common."""

from studies.parts.study import Section

SCORES = Section(
    "Scores beside what they are read against",
    "fid/fresh is the score of new images. It is read between fid/real, real training images, than which little can "
    "be better, and fid/noise, uniform noise; fid/start is where chains began. Scores of a replay buffer flatter. "
    "Precision and density say how many images look real, recall and coverage how many kinds of real images there are "
    "among them.",
    numbers=("fid/", "kid/", "precision/", "recall/", "density/", "coverage/"),
)
CHAINS = Section(
    "Chains and energies",
    "Step size and noise along a chain; the mean energy of fresh chains far beyond the length at which "
    "they are scored beside that of real images. Where it goes on falling, chains have not arrived: drift is its "
    "slope per step, up to 1, 4 and 16 times the length of training's chains; split R̂ above 1.01 means that chains "
    "have not found the same distribution.",
    pictures=("chain/schedule", "chain/energy"),
    numbers=("energy/", "chain/"),
)
NEIGHBOURS = Section(
    "Are they copies?",
    "Each sample above the training image nearest to it. The mean distance is read beside that of real validation "
    "images: copies would be far nearer.",
    pictures=("samples/nearest_training",),
    numbers=("distance/",),
)
OUTLIERS = Section(
    "What the energy takes for strange",
    "The chance that an image of a kind has a higher energy than a validation image: 1 where it is always told apart, "
    "0.5 where it cannot be told, below that where it is taken for likelier than the data.",
    numbers=("ood_auroc/",),
)
