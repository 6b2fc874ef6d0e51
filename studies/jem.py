"""How well can a classifier generate, and what does that cost its accuracy?"""

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
    objectives=(Objective("fid/fresh"), Objective("accuracy/validation", "maximize")),
    first=({}, {"sampler": "langevin"}, {"start": "noise"}, {"start": "noise", "sampler": "langevin"}),
    label="{start} {sampler}, {n_steps} steps",
    charts=("loss/likelihood", "loss/classification"),
    restore=jem.network,
    heat_map=("step_size", "n_steps", "sampler"),
    sections=SECTIONS,
    sample=jem.draw,
)
