"""Which classes the judge reads in images, and how sure it is."""

import torch
from torch import Tensor

from models.parts.evaluation.judge import Judge

CONFIDENT = 0.9  # a probability


def judged_classes(judge: Judge, name: str, images: Tensor) -> dict[str, float]:
    """``classes/entropy`` in nats of the classes that the judge sees; ``legibility/share`` of images read above 0.9.

    {} where there are no classes to be read.
    """
    if not judge.knows_classes:
        return {}
    probabilities = judge.predict(images)
    shares = torch.bincount(probabilities.argmax(1), minlength=probabilities.shape[1]) / len(probabilities)
    confidence = probabilities.amax(1)
    values = {
        "classes/entropy": float(torch.special.entr(shares).sum()),
        "classes/present": float((shares > 0).sum()),
        "legibility/confidence": float(confidence.mean()),
        "legibility/share": float((confidence > CONFIDENT).float().mean()),
    }
    return {f"{key}{name}": value for key, value in values.items()}
