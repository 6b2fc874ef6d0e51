"""How far a set of images is from another, measured on features (n, dimensions): FID, KID, PRDC; and pixel by pixel.

FID and KID are torchmetrics', precision, recall, density and coverage are those of the package prdc. Both packages take
a second to import, so they are when first wanted.
"""

import contextlib
import io
import warnings

import torch
from torch import Tensor, nn

from models.data.torchvision_fix import declare_missing_operators

KID_SIZE = 1_000  # features in a subset, as customary
KID_SUBSETS = 20


def preload() -> None:
    """Import both packages now, as a process does from which workers are forked."""
    declare_missing_operators()
    import prdc  # noqa: F401
    import torchmetrics.image  # noqa: F401


class _FeaturesAsImages(nn.Module):
    """Stands where torchmetrics expects a network: its images are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def squared_error(reconstructed: Tensor, images: Tensor) -> float:
    """Mean over images and pixels, which lie in [-1, 1]: in [0, 4]."""
    return float((reconstructed.to(images.device) - images).square().double().mean())


def fid(reference: Tensor, samples: Tensor) -> float:
    """Fréchet distance between the Gaussians of both sets, at least 0.

    It falls as either set grows, so only sets of one size compare. Raises ValueError for features that are not finite
    and for fewer than two of them.
    """
    reference, samples = _comparable(reference, samples, least=2)
    return _fid(reference, samples)


NEAREST = 5  # neighbours that precision, recall, density and coverage look at


def scores(reference: Tensor, samples: Tensor, *, nearest: int = NEAREST) -> dict[str, float]:
    """fid, kid, precision, recall, density and coverage of ``samples`` against ``reference``.

    KID is an unbiased estimate, and so may be a little below 0. The last four look at the ``nearest`` neighbours within
    each set, so both need two more than that. Raises ValueError like ``fid``.
    """
    reference, samples = _comparable(reference, samples, least=nearest + 2)
    return {"fid": _fid(reference, samples), "kid": _kid(reference, samples), **_prdc(reference, samples, nearest)}


def _comparable(reference: Tensor, samples: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Both in float64 on the CPU: everywhere the same numbers."""
    for name, features in (("reference", reference), ("samples", samples)):
        if features.dim() != 2 or len(features) < least:
            raise ValueError(
                f"{name} of shape {tuple(features.shape)} cannot be scored; at least {least} rows are needed"
            )
        n_lost = int((~features.isfinite()).any(1).sum())
        if n_lost:
            raise ValueError(
                f"{n_lost} of {len(features)} rows of {name} are not finite; score only images that are finite"
            )
    if reference.shape[1] != samples.shape[1]:
        raise ValueError(
            f"reference has {reference.shape[1]} features and samples {samples.shape[1]}; take both from one judge"
        )
    return reference.detach().double().cpu(), samples.detach().double().cpu()


def _fid(reference: Tensor, samples: Tensor) -> float:
    declare_missing_operators()
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_FeaturesAsImages(reference.shape[1]))
    metric.update(reference, real=True)
    metric.update(samples, real=False)
    return max(0.0, float(metric.compute()))  # rounding takes equal sets to either side of 0


def _kid(reference: Tensor, samples: Tensor) -> float:
    declare_missing_operators()
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(len(reference), len(samples), KID_SIZE)
    subsets = 1 if len(reference) == len(samples) == size else KID_SUBSETS  # one subset is then all there is
    with warnings.catch_warnings():  # it warns that it keeps all features: here they are few
        warnings.simplefilter("ignore", UserWarning)
        metric = KernelInceptionDistance(
            feature=_FeaturesAsImages(reference.shape[1]), subsets=subsets, subset_size=size
        )
    metric.update(reference, real=True)
    metric.update(samples, real=False)
    with torch.random.fork_rng(devices=[]):  # it draws its subsets from the global generator
        torch.default_generator.manual_seed(0)
        mean, _ = metric.compute()
    return float(mean)


def _prdc(reference: Tensor, samples: Tensor, nearest: int) -> dict[str, float]:
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):  # it prints the sizes of the sets
        values = compute_prdc(reference.numpy(), samples.numpy(), nearest)
    return {name: float(values[name]) for name in ("precision", "recall", "density", "coverage")}
