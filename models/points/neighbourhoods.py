"""Who is near whom in a cloud, and what a point can read from that alone: means of neighbours and planes through them."""

import torch
from torch import Tensor

PLANE = 8  # neighbours of the smaller plane


def nearest(clouds: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k other points nearest to each: indices (n, points, k), the nearest first, and distances."""
    distances = torch.cdist(clouds, clouds, compute_mode="donot_use_mm_for_euclid_dist")
    smallest, indices = distances.topk(k + 1, largest=False)
    return indices[..., 1:], smallest[..., 1:]


def gather(features: Tensor, indices: Tensor) -> Tensor:
    """Features (n, points, channels) of the points at ``indices`` (n, points, k): (n, points, k, channels)."""
    n, points, channels = features.shape
    first = torch.arange(n, device=features.device)[:, None, None] * points
    rows = features.reshape(n * points, channels).index_select(0, (indices + first).reshape(-1))
    return rows.reshape(n, points, indices.shape[2], channels)


def offset_to_mean(clouds: Tensor, neighbours: Tensor) -> Tensor:
    """From each point to the mean of its neighbours (n, points, k, 3)."""
    return neighbours.mean(2) - clouds


def offset_to_plane(clouds: Tensor, neighbours: Tensor) -> Tensor:
    """From each point to its foot on the plane through itself and its neighbours by least squares (Hoppe et al. 1992)."""
    members = torch.cat([clouds[:, :, None], neighbours], 2)
    centre = members.mean(2)
    around = members - centre[:, :, None]
    _, vectors = torch.linalg.eigh(around.transpose(2, 3) @ around)  # of the smallest eigenvalue first
    normal = vectors[..., 0]
    offset: Tensor = normal * ((centre - clouds) * normal).sum(2, keepdim=True)
    return offset


def by_means(clouds: Tensor, k: int = PLANE) -> Tensor:
    """Each point at the mean of its k neighbours."""
    indices, _ = nearest(clouds, k)
    return clouds + offset_to_mean(clouds, gather(clouds, indices))


def by_planes(clouds: Tensor, k: int) -> Tensor:
    """Each point on the plane through itself and its k neighbours: a denoiser that learns nothing."""
    indices, _ = nearest(clouds, k)
    return clouds + offset_to_plane(clouds, gather(clouds, indices))
