"""Which Langevin settings train an energy-based model that samples well from noise?"""

from typing import Any

from models.ebm.config import Config
from studies import Suggest
from studies._ebm import base, study


def space(suggest: Suggest, base: Config) -> Config:
    """Around the published recipes (Du and Mordatch 2019; Grathwohl et al. 2019), all colder than temperature 1.

    The shortest chain of the smallest steps can still carry a pixel across the data range: 0.1 × 2 × 10 = 2.
    With rule=textbook ε takes the place of step size and noise, and the energy needs room to fall far.
    """
    textbook = base.rule == "textbook"
    most_start, most_end, least_alpha = (1.0, 1e-1, 1e-5) if textbook else (5e-2, 2e-3, 1e-2)
    chosen: dict[str, Any] = {}
    if not textbook:
        chosen["step_size"] = suggest.suggest_float("step_size", 2.0, 30.0, log=True)
    chosen |= {
        "n_steps": suggest.suggest_int("n_steps", max(10, base.n_steps // 2), max(40, base.n_steps * 2), log=True),
        "start": suggest.suggest_categorical("start", ["noise", "replay"]),
        "schedule": suggest.suggest_categorical("schedule", ["constant", "geometric", "linear", "cosine"]),
        "noise_start": suggest.suggest_float("noise_start", 2e-3, most_start, log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 3e-4, 6e-3, log=True),
        "energy_regularisation": suggest.suggest_float("energy_regularisation", least_alpha, 1.0, log=True),
    }
    if chosen["schedule"] != "constant":
        chosen["noise_end"] = suggest.suggest_float("noise_end", 5e-4, most_end, log=True)
        if not textbook:
            chosen["coupled"] = suggest.suggest_categorical("coupled", [False, True])
    return Config.model_validate(base.model_dump() | chosen)


STUDY = study(
    __doc__,
    base,
    space,
    first=({}, {"start": "noise"}),  # both ways to begin a chain are tried, whatever the sampler's luck
    heat_map=("step_size", "n_steps", "start"),
)
