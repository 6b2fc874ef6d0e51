"""How well can a classifier generate, and how much accuracy does that cost?"""

from models.jem.config import Config
from studies import Objective, Study, later
from studies._jem import SECTIONS, base, space

STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.jem.training:train"),
    report=later("models.jem.evaluation:report"),
    check=later("models.jem.training:check"),
    objectives=(Objective("fid/fresh"), Objective("accuracy/validation", "maximize")),
    first=({}, {"sampler": "langevin"}, {"start": "noise"}, {"start": "noise", "sampler": "langevin"}),
    label="{start} {sampler}, {n_steps} steps",
    charts=("loss/likelihood", "loss/classification"),
    restore=later("models.jem.networks:network"),
    heat_map=("step_size", "n_steps", "sampler"),
    sections=SECTIONS,
    sample=later("models.jem.evaluation:draw"),
)
