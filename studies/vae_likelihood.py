"""Which variational autoencoder gives images the highest likelihood?"""

from studies import Objective
from studies._vae import study

STUDY = study(__doc__, Objective("likelihood/bits_per_dimension"))
