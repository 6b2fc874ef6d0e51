"""What both studies of Image GPT have in common."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from models.autoregressive.config import ImageGPTConfig
from studies import ImageShape, Section, Study, Suggest, _autoregressive


def study(
    question: str | None,
    base: Callable[[ImageShape], ImageGPTConfig],
    space: Callable[[Suggest, ImageGPTConfig], ImageGPTConfig],
    label: str,
    smallest: Mapping[str, Any],
    trials: int,
) -> Study[Any, Any]:
    """A study over transformers, whose sweeps have so many ``trials`` unless their user says otherwise."""
    study = _autoregressive.study(
        question,
        ImageGPTConfig,
        base,
        space,
        smallest,
        label,
        sections=(
            Section(
                "Attention",
                "Where a place looks: the mean over images and heads of each block's attention, of the white place onto the "
                "places before it, brighter for more.",
                pictures=("network/attention",),
            ),
        ),
    )
    return replace(study, trials=trials)
