"""Which settings make the best classifier that generates, where a unit of FID is worth so many points of accuracy?"""

from models.jem import training as jem
from models.jem.training import Config
from studies._jem import SECTIONS, base, space
from studies.parts.study import Objective, Study

STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=jem.train,
    report=jem.report,
    check=jem.check,
    objectives=(Objective("objective/weighted"),),
    first=({}, {"sampler": "langevin"}, {"start": "noise"}, {"start": "noise", "sampler": "langevin"}),
    label="{start} {sampler}, {n_steps} steps",
    charts=("loss/likelihood", "loss/classification"),
    restore=jem.network,
    heat_map=("step_size", "n_steps", "sampler"),
    sections=SECTIONS,
    sample=jem.draw,
)
