"""Which settings give the best generating classifier when FID and accuracy are weighed in one score?"""

from studies import Objective, _jem

STUDY = _jem.study(__doc__, Objective("objective/weighted"))
