"""What studies of energies without labels have in common: the recipe by contrastive divergence, and the report."""

from collections.abc import Callable
from typing import Any

from models.ebm.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import CHAINS, NEIGHBOURS, OUTLIERS, SCORES


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured on digits of 8×8 and 28×28 and on 32×32 colour, each for one processor core.

    What a GPU can do at 32×32 is ``benchmarks/published/igebm.py``.
    """
    side = max(shape[1:])
    if side <= 16:
        return Config(n_steps=10, learning_rate=3e-3, network_evaluations=20_000)
    if side <= 28:
        small = Config(blocks=3, batch_size=32, learning_rate=3e-3, network_evaluations=30_000)
        return small.model_copy(update={"precision": "auto"})
    return Config(
        blocks=9,
        precision="auto",
        step_size=20.0,
        n_steps=10,
        fresh_share=0.2,
        buffer_size=256,
        penalised_samples="below_zero",
        noised="both",
        batch_size=128,
        n_chains=32,
        learning_rate=4e-4,
        network_evaluations=60_000,
    )


def study(
    question: str | None,
    base: Callable[[ImageShape], Config],
    space: Callable[[Suggest, Config], Config],
    **more: Any,
) -> Study[Config, Any]:
    """A study of ``ebm``; ``more`` are its other fields."""
    return Study(
        question=question or "",
        config=Config,
        base=base,
        space=space,
        train=later("models.ebm.training:train"),
        report=later("models.ebm.evaluation:report"),
        reports=lambda config: config.evaluations,
        check=later("models.ebm.training:check"),
        objectives=(Objective("fid/fresh"),),
        label="{n_steps} steps",
        charts=("energy/gap", "chain/saturation"),
        restore=later("models.ebm.networks:network"),
        workload=later("models.ebm.networks:workload"),
        sections=(
            SCORES,
            CHAINS,
            NEIGHBOURS,
            OUTLIERS,
            Section(
                "Likelihood",
                "Likelihood of validation images, with log Z estimated from below and from above, at temperature 1 and at the "
                "best-fitting temperature (setting annealing_temperatures). If the two estimates differ much, trust neither.",
                pictures=("likelihood/temperature",),
                numbers=("likelihood/", "likelihood_fitted/"),
            ),
        ),
        sample=later("models.ebm.evaluation:draw"),
        smallest={
            "blocks": 1,
            "width": 4,
            "n_steps": 10,
            "evaluation_samples": 32,
            "evaluations": 2,
            "buffer_size": 100,
            "network_evaluations": 144,
        },
        **more,
    )
