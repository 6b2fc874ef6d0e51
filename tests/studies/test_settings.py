"""The settings of every study: what a value may be, and that the study's own are such values."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

import studies
from studies import Study
from tests.support.shapes import shape, shapes

# Of a sweep that is asked for without a number; else 12.
TRIALS = {
    "autoregressive_sampling": 30,
    "dvae": 8,
    "vae_rate_distortion": 8,
    "fashion_003": 3,
    "ddpm_004": 4,
    "diffusion_sampling": 60,
    "ebm_sampling": 100,
    "flow_sampling": 30,
    "image_gpt": 8,
    "image_gpt_xxs": 2,
}
# Numbers that may be 0: a weight, a share or an amount of noise that is left out, or a stage that does not take place.
MAY_BE_ZERO = {
    *(
        "annealing_temperatures",
        "pretrain_updates",
        "prior_updates",
        "codes_images",
        "warmup",
        "long_phase",
        "deformation",
    ),
    *("friction", "noise", "noise_start", "noise_end", "data_noise", "instance_noise", "fresh_share", "beta1", "beta2"),
    *("energy_regularisation", "wrong_label_weight", "classification_weight", "likelihood_weight", "fid_weight"),
    *("commitment", "kl_weight", "penalty", "zero_penalty", "label_smoothing", "embedding_margin", "restart_below"),
    *("decay", "ema_decay", "least_accuracy", "hidden_classes", "weight_decay", "dropout", "top_k"),
    *("beta", "annealing", "free_nats", "head_weight"),
    *("logit", "background_updates"),
    *("eta", "guidance", "label_dropout", "label"),
    *("outliers", "nll_weight", "paired", "consistency"),
}
ALSO_ZERO = {
    "dvae": {"blocks"},
    "vae": {"blocks"},
    "vae_likelihood": {"blocks"},
    "vae_rate_distortion": {"blocks"},
    "flow": {"depth", "steps", "dense_steps"},
    "residual_flow": {"depth", "steps", "dense_steps"},
    "image_gpt": {"classes"},
    "image_gpt_xxs": {"classes"},
}  # of one study


@pytest.fixture(params=studies.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def study(name: str) -> Study[Any, Any]:
    return studies.load(name)


def numbers(study: Study[Any, Any]) -> Iterator[str]:
    """The settings that are numbers."""
    for setting, field in study.config.model_fields.items():
        if any(kind in str(field.annotation) for kind in ("int", "float")):
            yield setting


def refused(study: Study[Any, Any], setting: str, value: Any) -> bool:
    """Whether the setting itself is refused this value, not another one that does not go with it."""
    try:
        study.config.model_validate(study.base(shape(study)).model_dump() | {setting: value})
    except ValidationError as error:
        return any(setting in problem["loc"] for problem in error.errors())
    return False


def test_the_defaults_and_the_recipes_are_values_that_may_be_given(study: Study[Any, Any]) -> None:
    for config in (study.config(), *map(study.base, shapes(study).values())):
        assert study.config.model_validate(config.model_dump()) == config


def test_a_number_below_its_range_is_refused(name: str, study: Study[Any, Any]) -> None:
    may_be_zero = MAY_BE_ZERO | ALSO_ZERO.get(name, set())
    for setting in numbers(study):
        assert refused(study, setting, -1), setting
        assert refused(study, setting, 0) != (setting in may_be_zero), setting


def test_what_is_no_number_is_refused(study: Study[Any, Any]) -> None:
    for setting in numbers(study):
        for value in (float("nan"), float("inf"), "many"):
            assert refused(study, setting, value), f"{setting}={value}"


def test_an_unknown_setting_is_refused(study: Study[Any, Any]) -> None:
    assert refused(study, "nonesuch", 1)


def test_how_many_trials_a_sweep_has(name: str, study: Study[Any, Any]) -> None:
    assert study.trials == TRIALS.get(name, 12)
