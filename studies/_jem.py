"""What the studies of joint energy-based models have in common: the recipe, the space and the report."""

from dataclasses import replace
from typing import Any

from models.jem.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import CHAINS, NEIGHBOURS, OUTLIERS, SCORES


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured at 8×8 and 28×28, and in colour at 32×32 with a smaller network than the published one.

    At 28×28 chains begin from noise. They reach digits where the regularisation lets the energy fall far enough over a chain,
    and stay with them where the buffer is young and real images are many for each chain. In colour the published weight and
    step, 1 and 1, cost a trained classifier its labels within a hundred updates: chains fall far below the energies of images,
    and it learns to lift them only.
    At 8×8 no element of a gradient comes near the published clamp of 1, so it is lower there: as low as lets a chain of an
    update carry a pixel from black to white, 10 · 0.3 · 0.67 = 2. At 0.1 proximal chains from noise are outrun by the data.
    """
    side = max(shape[1:])
    if side <= 16:
        return Config(step_size=0.3, clamp=0.67, likelihood_weight=0.5, learning_rate=2e-3, data_noise=0.1)
    if side <= 28:
        return Config(
            precision="auto",
            pretrain_updates=1_000,
            start="noise",
            sampler="langevin",
            step_size=1.0,
            n_steps=20,
            noise=0.005,
            fresh_share=0.5,
            buffer_size=256,
            batch_size=128,
            n_chains=32,
            likelihood_weight=0.1,
            energy_regularisation=0.01,
            penalised_samples="below_zero",
            parameter_grad_clip=0.1,
            ema_decay=0.995,
            noised="data",
            network_evaluations=10_000,
            evaluation_length=2,
        )
    return Config(
        network="wide_resnet",
        width=160,
        activation="leaky_relu",
        precision="auto",
        pretrain_updates=20_000,
        least_accuracy=0.7,
        augmentation="shift_flip",
        buffer_size=10_000,
        step_size=0.2,
        likelihood_weight=0.15,
        energy_regularisation=0.02,
        learning_rate=2e-4,
        warmup=1_000,
        ema_decay=0.999,
        network_evaluations=2_000_000,
        evaluation_length=5,
    )


# Of JEM++: the recipe has one setting of the two, whichever that is, and the others are tried next.
SWITCHES = (("mixture", "langevin"), ("noise", "proximal"), ("noise", "langevin"), ("mixture", "proximal"))


def space(suggest: Suggest, base: Config) -> Config:
    """Chains, learning and what the likelihood weighs against the labels; the two switches are those of JEM++."""
    chosen = {
        "start": suggest.suggest_categorical("start", ["noise", "mixture"]),
        "sampler": suggest.suggest_categorical("sampler", ["langevin", "proximal"]),
        "step_size": suggest.suggest_float("step_size", base.step_size / 5, base.step_size * 3, log=True),
        "n_steps": suggest.suggest_int("n_steps", max(5, base.n_steps // 4), base.n_steps * 2, log=True),
        "noise": suggest.suggest_float("noise", 1e-3, 3e-2, log=True),
        "likelihood_weight": suggest.suggest_float("likelihood_weight", 0.1, 1.0, log=True),
        "learning_rate": suggest.suggest_float(
            "learning_rate", base.learning_rate / 5, base.learning_rate * 2, log=True
        ),
    }
    if chosen["sampler"] == "proximal":
        chosen["clamp"] = suggest.suggest_float("clamp", base.clamp / 5, base.clamp * 2, log=True)
    return Config.model_validate(base.model_dump() | chosen)


SECTIONS = (
    Section(
        "The pretrained classifier",
        "Training starts from this classifier. It is trained once for all trials with the same settings. Compare the final "
        "accuracy with the end of these curves: the difference is the price of generation.",
        pictures=("pretraining/loss", "pretraining/accuracy"),
        numbers=("pretraining/",),
    ),
    Section(
        "Accuracy and calibration",
        "Accuracy on real images outside the training split, and that of the plain classifier from which training started "
        "(pretrained). A classifier is calibrated if its confidence equals its accuracy. The test split is evaluated last "
        "and selects nothing.",
        pictures=("classifier/confusion_validation", "calibration/reliability"),
        numbers=(
            "accuracy/validation",
            "accuracy/pretrained_validation",
            "accuracy/test",
            "accuracy/pretrained_test",
            "calibration/",
        ),
    ),
    SCORES,
    Section(
        "Do samples match their labels?",
        "The starts of chains above their ends. Then a confusion matrix: one row for each requested label, one column for "
        "each class that the judge, a classifier trained on real images, assigned.",
        pictures=("samples/start_and_end", "samples/confusion"),
        numbers=("accuracy/conditional", "accuracy/start", "accuracy/replay", "accuracy/judge"),
    ),
    replace(CHAINS, pictures=("samples/along_chain", "chain/energy")),  # step size and noise are the same along a chain
    Section(
        "Adversarial accuracy",
        "Accuracy on adversarial images, by the size of the perturbation. Numbers are for a tenth of a pixel's range.",
        pictures=("adversarial/accuracy",),
        numbers=("adversarial/",),
    ),
    NEIGHBOURS,
    replace(
        OUTLIERS,
        title="Out-of-distribution detection",
        text=f"{OUTLIERS.text} The energy is −log p(x) up to a constant. Also shown: AUROC of the confidence, −max p(y|x), "
        "of the norm of ∂ log p(x)/∂x, and of the energy of the pretrained classifier.",
        numbers=("ood_auroc/", "ood_auroc_confidence/", "ood_auroc_gradient/", "pretrained_ood_auroc/"),
    ),
)


def study(question: str | None, *objectives: Objective) -> Study[Any, Any]:
    """The study of JEM that asks ``question``, a module's docstring, and compares trials by ``objectives``."""
    return Study(
        question=question or "",
        config=Config,
        base=base,
        space=space,
        train=later("models.jem.training:train"),
        report=later("models.jem.evaluation:report"),
        check=later("models.jem.training:check"),
        reports=lambda config: config.evaluations,
        objectives=objectives,
        first=({}, *({"start": start, "sampler": sampler} for start, sampler in SWITCHES)),
        label="{start} {sampler}, {n_steps} steps",
        charts=("loss/likelihood", "loss/classification"),
        restore=later("models.jem.networks:network"),
        workload=later("models.jem.networks:workload"),
        heat_map=("step_size", "n_steps", "sampler"),
        sections=SECTIONS,
        sample=later("models.jem.evaluation:draw"),
        smallest={
            "width": 4,
            "norm": "batch",
            "start": "mixture",
            "n_steps": 2,
            "pretrain_updates": 20,
            "least_accuracy": 0.0,
            "evaluation_samples": 32,
            "evaluation_length": 1,
            "evaluations": 2,
            "buffer_size": 100,
            "network_evaluations": 80,
        },
    )
