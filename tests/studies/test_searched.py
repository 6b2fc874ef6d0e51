"""Which settings each study searches, and under which condition."""

from collections.abc import Sequence
from typing import Any

import pytest

import studies
from tests.support.shapes import shape

DENOISED = {"least_noise", "most_noise", "learning_rate", "step_size", "n_steps", "noise_start", "noise_end"}
LANGEVIN = {"step_size", "n_steps", "start", "noise_start", "learning_rate", "energy_regularisation"}
JEM = {"start", "sampler", "step_size", "n_steps", "noise", "likelihood_weight", "learning_rate"}
GAN = {"loss", "generator_learning_rate", "critic_learning_rate", "latent_size", "n_critic", "batch_size", "width"}
DVAE = {"codebook_size", "code_dimension", "learning_rate", "embedding"}
VAE = {"latent_size", "learning_rate", "batch_size"}
SAMPLING = {"sampler", "step_size", "n_steps", "schedule", "noise_start"}
ANNEALED = {"noise_end", "coupled"}
CLUSTERS = {"k_least", "k_most"}
BAYES_NET = {"neighbours", "cpd", "position", "learning_rate", "weight_decay"}
TRAINED_GPT = {"position", "learning_rate", "batch_size", "dropout"}
DIFFUSION = {"schedule", "prediction", "weight", "learning_rate", "batch_size", "ema_decay"}
DENOISING = {"sampler", "steps", "spacing", "clip"}
FLOW = {"mixing", "coupling", "logit", "steps", "width", "learning_rate", "batch_size"}
POINTS = {"disentangle", "features", "neighbours", "augmentation", "steps", "nll_weight", "paired", "learning_rate"}
RESIDUAL = {"coefficient", "exact_terms", "tail", "probes", "dense_steps", "hidden", "learning_rate"}
IMAGE_GPT = TRAINED_GPT | {"width", "layers", "heads", "deformation"}

# study, what its recipe is changed to, what is chosen, what is searched then
SEARCHED: list[tuple[str, dict[str, Any], dict[str, Any], set[str]]] = [
    ("ebm", {}, {"schedule": "constant"}, LANGEVIN | {"schedule"}),
    *[
        ("ebm", {}, {"schedule": name}, LANGEVIN | ANNEALED | {"schedule"})
        for name in ("geometric", "linear", "cosine")
    ],
    ("ebm", {"rule": "textbook"}, {"schedule": "constant"}, LANGEVIN - {"step_size"} | {"schedule"}),
    ("ebm", {"rule": "textbook"}, {"schedule": "linear"}, LANGEVIN - {"step_size"} | {"schedule", "noise_end"}),
    ("denoising_score", {}, {}, DENOISED),
    ("conditional_ebm", {}, {}, LANGEVIN | {"label"}),
    ("conditional_ebm", {"rule": "textbook"}, {}, LANGEVIN - {"step_size"} | {"label"}),
    ("ebm_sampling", {}, {"schedule": "constant"}, SAMPLING),
    *[("ebm_sampling", {}, {"schedule": name}, SAMPLING | ANNEALED) for name in ("geometric", "linear", "cosine")],
    *[(study, {}, {"sampler": "langevin"}, JEM) for study in ("jem", "jem_weighted")],
    *[(study, {}, {"sampler": "proximal"}, JEM | {"clamp"}) for study in ("jem", "jem_weighted")],
    ("gan", {}, {"loss": "bce"}, GAN | {"beta1", "zero_penalty", "label_smoothing"}),
    ("gan", {}, {"loss": "hinge"}, GAN | {"beta1"}),
    ("gan", {"optimizer": "rmsprop"}, {"loss": "hinge"}, GAN),
    ("wgan", {}, {"loss": "wgan"}, GAN | {"clip"}),
    ("wgan", {"optimizer": "adam"}, {"loss": "wgan"}, GAN | {"clip", "beta1"}),
    ("wgan", {}, {"loss": "wgan_gp"}, GAN | {"penalty", "beta1"}),
    ("fashion_003", {}, {}, {"loss"}),
    ("dvae", {"quantiser": "ema"}, {}, DVAE | CLUSTERS | {"commitment", "decay"}),
    ("dvae", {"quantiser": "gumbel"}, {}, DVAE | CLUSTERS),
    ("dvae", {"quantiser": "ema", "k_rule": "given"}, {}, DVAE | {"commitment", "decay"}),
    ("bayes_net", {}, {"cpd": "linear"}, BAYES_NET),
    ("bayes_net", {}, {"cpd": "mlp"}, BAYES_NET | {"width"}),
    ("image_gpt", {}, {}, IMAGE_GPT),
    ("image_gpt", {"levels": 2}, {}, IMAGE_GPT | {"patch"}),
    ("image_gpt_xxs", {}, {}, TRAINED_GPT),
    ("autoregressive_sampling", {}, {}, {"temperature", "top_k", "top_p"}),
    *[(study, {}, {}, VAE | {"beta", "annealing", "free_nats"}) for study in ("vae", "vae_likelihood")],
    ("vae", {"latent": "none"}, {}, VAE),
    ("diffusion", {}, {"weight": "simple"}, DIFFUSION),
    ("diffusion", {}, {"weight": "min_snr"}, DIFFUSION | {"gamma"}),
    ("ddpm_004", {}, {}, {"learning_rate", "batch_size"}),
    ("diffusion_sampling", {}, {"sampler": "heun"}, DENOISING),
    ("diffusion_sampling", {}, {"sampler": "ddim"}, DENOISING | {"eta"}),
    ("diffusion_sampling", {}, {"sampler": "corrected"}, DENOISING | {"eta", "corrector_size"}),
    ("diffusion_sampling", {"labels": True}, {"sampler": "ddpm"}, DENOISING | {"guidance"}),
    ("vae", {"bound": "importance"}, {}, VAE | {"beta", "annealing"}),
    ("vae_rate_distortion", {}, {}, {"beta"}),
    ("flow", {}, {"scale": "tanh"}, FLOW | {"scale", "bound"}),
    ("flow", {}, {"scale": "sigmoid"}, FLOW | {"scale"}),
    ("flow", {}, {"coupling": "additive"}, FLOW),
    ("points", {}, {"disentangle": "mask"}, POINTS),
    ("points", {}, {"disentangle": "consistency"}, POINTS | {"consistency"}),
    ("residual_flow", {}, {"tail": "none"}, RESIDUAL),
    *[("residual_flow", {}, {"tail": tail}, RESIDUAL | {"tail_terms"}) for tail in ("geometric", "poisson")],
    ("flow_sampling", {}, {}, {"temperature", "fine_temperature"}),
]


class Recorder:
    """A Suggest that notes what it is asked for, and chooses as it was told, or the middle."""

    def __init__(self, choices: dict[str, Any]) -> None:
        self.choices, self.names = choices, set[str]()

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.names.add(name)
        return float(self.choices.get(name, (low * high) ** 0.5 if log else (low + high) / 2))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return round(self.suggest_float(name, low, high, log=log))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.names.add(name)
        chosen = self.choices.get(name, choices[0])
        assert chosen in choices, f"{name} may be {choices}"
        return chosen


@pytest.mark.parametrize(("study", "recipe", "choices", "names"), SEARCHED)
def test_a_study_searches_these_settings(
    study: str, recipe: dict[str, Any], choices: dict[str, Any], names: set[str]
) -> None:
    loaded, recorder = studies.load(study), Recorder(choices)
    base = loaded.base(shape(loaded))
    config = loaded.space(recorder, base.model_copy(update=recipe))  # type: ignore[arg-type]
    assert recorder.names == names
    assert names <= config.model_dump().keys(), "what is searched is set"


def test_every_study_is_pinned() -> None:
    assert {study for study, *_ in SEARCHED} == set(studies.names())
