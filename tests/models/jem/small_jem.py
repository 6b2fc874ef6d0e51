"""The least settings of a joint energy-based model, for tests."""

from typing import Any

from models.jem.config import Config

SMALL = {
    **{"width": 4, "n_steps": 4, "pretrain_updates": 20, "evaluation_samples": 40, "evaluation_length": 1},
    **{"evaluations": 2, "buffer_size": 100, "network_evaluations": 6 * 20, "step_size": 0.1, "least_accuracy": 0.0},
    **{"start": "noise", "sampler": "langevin"},
}


def config(**changes: Any) -> Config:
    """JEM, on digits in a second, with ``changes``."""
    return Config.model_validate(SMALL | changes)
