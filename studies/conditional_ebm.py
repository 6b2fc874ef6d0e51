"""Which label conditioning and which Langevin settings give good class-conditional samples?"""

from typing import Any

from models.ebm.conditional.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import CHAINS, NEIGHBOURS, OUTLIERS, SCORES


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured on digits of 8×8 and 28×28; beyond, the size of the paper, for a GPU.

    At 28×28 chains are few for each real image and young, half of them fresh, and the energy learns which labels are wrong. An
    energy that tells labels apart by several nats needs room: steps are short and the regularisation is weak.
    """
    side = max(shape[1:])
    if side <= 16:
        return Config(start="noise", n_steps=10, learning_rate=3e-3, network_evaluations=20_000)
    if side <= 28:
        return Config(
            blocks=3,
            precision="auto",
            start="replay",
            step_size=1.0,
            grad_clip=None,
            fresh_share=0.5,
            buffer_size=256,
            batch_size=128,
            n_chains=32,
            learning_rate=3e-3,
            energy_regularisation=0.01,
            penalised_samples="below_zero",
            noised="both",
            wrong_label_weight=10.0,
            network_evaluations=13_100,
            evaluation_length=2,
        )
    large = Config(blocks=9, width=64, n_steps=60, buffer_size=10_000, batch_size=128, network_evaluations=2_000_000)
    return large.model_copy(update={"precision": "auto"})


def space(suggest: Suggest, base: Config) -> Config:
    """The ways to tell the label, and of the chains what mattered most to ``ebm``, with constant noise."""
    textbook, alpha = base.rule == "textbook", base.energy_regularisation
    most_start, least_alpha = (1.0, 1e-5) if textbook else (5e-2, alpha / 10)
    chosen: dict[str, Any] = {
        "label": suggest.suggest_categorical("label", ["modulation", "channels", "head"]),
        "start": suggest.suggest_categorical("start", ["noise", "replay"]),
    }
    if not textbook:
        chosen["step_size"] = suggest.suggest_float("step_size", base.step_size / 5, base.step_size * 3, log=True)
    chosen |= {
        "n_steps": suggest.suggest_int("n_steps", max(10, base.n_steps // 2), max(40, base.n_steps * 2), log=True),
        "noise_start": suggest.suggest_float("noise_start", 2e-3, most_start, log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 3e-4, 6e-3, log=True),
        "energy_regularisation": suggest.suggest_float("energy_regularisation", least_alpha, alpha * 10, log=True),
    }
    return Config.model_validate(base.model_dump() | chosen)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.ebm.conditional.training:train"),
    report=later("models.ebm.conditional.evaluation:report"),
    check=later("models.ebm.conditional.training:check"),
    reports=lambda config: config.evaluations,
    objectives=(Objective("fid_by_class/fresh"),),
    # Every way is tried.
    first=({}, {"label": "modulation"}, {"label": "channels"}, {"start": "noise"}, {"start": "replay"}),
    label="{label}, {n_steps} steps",
    charts=("energy/gap", "chain/saturation"),
    restore=later("models.ebm.conditional.networks:network"),
    workload=later("models.ebm.conditional.networks:workload"),
    heat_map=("step_size", "n_steps", "start"),
    sections=(
        SCORES,
        Section(
            "Do samples match their labels?",
            "A confusion matrix: one row for each requested label, one column for each class that the judge, a "
            "classifier trained on real images, assigned. accuracy/conditional is the share on the diagonal; "
            "accuracy/real is the judge's own accuracy on real images. FID rises when there are fewer images: compare "
            "fid_by_class only with itself.",
            pictures=("samples/confusion", "samples/fid_by_class"),
            numbers=("accuracy/conditional", "accuracy/replay", "accuracy/real", "fid_by_class/"),
        ),
        Section(
            "Accuracy and calibration of the energy as a classifier",
            "The label of lowest energy for real images outside the training split. The calibration error is the mean "
            "gap between confidence and accuracy, before and after temperature scaling.",
            pictures=("energy/confusion_validation", "energy/confusion_test"),
            numbers=("accuracy/energy_validation", "accuracy/energy_test", "calibration/"),
        ),
        CHAINS,
        NEIGHBOURS,
        OUTLIERS,
    ),
    sample=later("models.ebm.conditional.evaluation:draw"),
    smallest={
        "blocks": 1,
        "width": 4,
        "start": "replay",
        "n_steps": 10,
        "evaluation_samples": 32,
        "evaluations": 2,
        "buffer_size": 100,
        "network_evaluations": 144,
    },
)
