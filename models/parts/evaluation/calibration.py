"""Do probabilities of classes mean what they say? The expected calibration error, before and after a temperature is fitted."""

import math
import warnings

import torch.nn.functional as F
from torch import Tensor

from models.data.torchvision_fix import declare_missing_operators

BINS = 15  # as customary


def error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error of softmax(logits), (n, classes) against (n,), in [0, 1]: torchmetrics', with 15 bins.

    Guo et al. 2017, arXiv:1706.04599.
    """
    declare_missing_operators()
    from torchmetrics.functional.classification import multiclass_calibration_error

    probabilities = logits.double().cpu().softmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        calibration_error = multiclass_calibration_error(probabilities, labels.cpu(), logits.shape[1], n_bins=BINS)
    return float(calibration_error)


def temperature(logits: Tensor, labels: Tensor) -> float:
    """The T > 0 for which softmax(logits / T) makes ``labels`` likeliest, between 10⁻⁶ and 10³."""
    from scipy.optimize import minimize_scalar

    logits, labels = logits.double().cpu(), labels.cpu()

    def cost(log_t: float) -> float:
        return float(F.cross_entropy(logits / math.exp(log_t), labels))

    return math.exp(minimize_scalar(cost, bounds=(math.log(1e-6), math.log(1e3)), method="bounded").x)


def reliability(logits: Tensor, labels: Tensor, least: int = 1) -> tuple[list[float], list[float]]:
    """For each of 15 equal bins of confidence, max softmax: its middle, and the accuracy in it.

    That is NaN where there are fewer than ``least`` images. On the diagonal a classifier is right as often as it says.
    """
    confidence, answers = logits.double().cpu().softmax(1).max(1)
    bins = (confidence * BINS).long().clamp_max(BINS - 1)
    right = (answers == labels.cpu()).double()
    answers_by_bin = [right[bins == index] for index in range(BINS)]
    accuracy = [
        float(answers_in_bin.mean()) if len(answers_in_bin) >= least else math.nan for answers_in_bin in answers_by_bin
    ]
    return [(index + 0.5) / BINS for index in range(BINS)], accuracy
