"""Which latent space draws good new images, and what does it know?"""

from studies import Objective
from studies._vae import study

STUDY = study(__doc__, Objective("fid/fresh"))
