"""How well can a classifier generate, and how much accuracy does that cost?"""

from studies import Objective, _jem

STUDY = _jem.study(__doc__, Objective("fid/fresh"), Objective("accuracy/validation", "maximize"))
