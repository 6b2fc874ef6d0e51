"""FID in the features that publications use: Inception's, where the user has its weights as a file. Nothing is downloaded."""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.data.dataset import DataError
from models.data.torchvision_fix import declare_missing_operators
from models.parts.evaluation import metrics

BATCH = 64  # images of 299×299 pixels at a time


def refuse(weights: str | None) -> None:
    """Raises DataError where ``weights``, unless it is None, names no file that could be Inception's, or nothing can read it."""
    if weights is None:
        return
    if not Path(weights).is_file():
        raise DataError(
            f"inception_weights={weights}: there is no such file; give torch-fidelity's Inception weights, or none"
        )
    if importlib.util.find_spec("torch_fidelity") is None:
        raise DataError(
            "inception_weights needs torch-fidelity, whose network it is: pip install 'generative-sweeps[inception]'"
        )


@lru_cache(maxsize=1)
def _features(weights: str, device: str) -> Any:
    refuse(weights)
    declare_missing_operators()
    from torchmetrics.image.fid import NoTrainInceptionV3

    try:
        torch.load(weights, weights_only=True)  # torch-fidelity itself would run whatever a file tells it to
        return NoTrainInceptionV3("inception-v3-compat", ["2048"], weights).to(device)
    except Exception as error:  # whatever a file of something else makes torch raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{weights} holds no weights of torch-fidelity's Inception ({reason}); give that file"
        ) from error


def fid(weights: str, real: Tensor, images: Tensor, device: str) -> float:
    """Fréchet distance in Inception's 2,048 features, which publications have from 50,000 images; fewer give more."""
    network = _features(weights, device)

    def features(floats: Tensor) -> Tensor:
        bytes_ = ((floats + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
        with torch.no_grad():
            return torch.cat([network(batch.to(device)).cpu() for batch in torch.split(bytes_, BATCH)])

    return metrics.fid(features(real), features(images))
