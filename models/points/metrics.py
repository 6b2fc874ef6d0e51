"""How far a cloud is from a surface and from another cloud. Squared distances where it is said; scaled by 2 they are 4 times.

Shapes lie in the unit sphere, and scores are given in UNIT: a score of 4 is a root mean square of .02 of the radius.
"""

import torch
from torch import Tensor

UNIT = 1e-4  # of squared distances, as tables of denoisers have them
THIN = 1e-20  # of a triangle: the square of twice its area
CANDIDATES = 24  # triangles whose distance to a point is computed at first


def _closest_on_segment(points: Tensor, a: Tensor, b: Tensor) -> Tensor:
    along = b - a
    share = ((points - a) * along).sum(-1, keepdim=True) / along.square().sum(-1, keepdim=True).clamp_min(1e-20)
    return a + share.clamp(0, 1) * along


def closest_on_triangles(points: Tensor, triangles: Tensor) -> Tensor:
    """The nearest place (…, 3) on each triangle (…, 3 corners, 3) to a point (…, 3), which broadcasts."""
    a, b, c = triangles.unbind(-2)
    normal = torch.linalg.cross(b - a, c - a)
    area = normal.square().sum(-1, keepdim=True)
    foot = points - normal * ((points - a) * normal).sum(-1, keepdim=True) / area.clamp_min(THIN)
    inside = area > THIN  # of thinner ones the sides are all there is
    best, least = foot, torch.full_like(area, torch.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        inside = inside & ((torch.linalg.cross(end - start, foot - start) * normal).sum(-1, keepdim=True) >= 0)
        place = _closest_on_segment(points, start, end)
        distance = (place - points).square().sum(-1, keepdim=True)
        best, least = torch.where(distance < least, place, best), torch.minimum(distance, least)
    return torch.where(inside, foot, best)


def to_surface(points: Tensor, triangles: Tensor) -> Tensor:
    """Squared distance of each point (n, 3) to the nearest of the triangles (t, 3, 3): exact.

    A triangle is no nearer than its centre less its radius; those that are too far by this are not looked at.
    """
    centres = triangles.mean(1)
    radii = (triangles - centres[:, None]).norm(dim=2).amax(1)
    bounds = torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist") - radii
    count = min(CANDIDATES, len(triangles))
    lowest, chosen = bounds.topk(count, largest=False)
    squared = _squared(points[:, None], triangles[chosen]).amin(1)
    if count < len(triangles):  # points to which a triangle beyond the candidates may be nearer
        for index in torch.split(torch.nonzero(lowest[:, -1].clamp_min(0).square() < squared).flatten(), 64):
            squared[index] = _squared(points[index, None], triangles[None]).amin(1)
    return squared


def _squared(points: Tensor, triangles: Tensor) -> Tensor:
    return (closest_on_triangles(points, triangles) - points).square().sum(-1)


def to_points(points: Tensor, reference: Tensor) -> Tensor:
    """Squared distance of each point (n, 3) to the nearest of other points (m, 3)."""
    distances = torch.cdist(points, reference, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.amin(1).square()


def chamfer(a: Tensor, b: Tensor) -> float:
    """Mean squared distance of a's points to the nearest of b, plus the same from b to a. Not halved; scaled by 2: 4 times."""
    return float(to_points(a, b).mean() + to_points(b, a).mean())


def hausdorff(a: Tensor, b: Tensor) -> float:
    """The largest distance, not squared, of a point of one cloud to the nearest of the other. Scaled by 2: twice."""
    return float(torch.maximum(to_points(a, b).max(), to_points(b, a).max()).sqrt())


def spacing(points: Tensor) -> Tensor:
    """Distance of each point to its nearest neighbour."""
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(torch.inf)
    return distances.amin(1)


def unevenness(points: Tensor) -> float:
    """Deviation of the distances to the nearest neighbour over their mean: 0 on a lattice, .52 of random points on a plane.

    A denoiser that clumps points makes it larger. It does not depend on scale.
    """
    distances = spacing(points)
    return float(distances.std() / distances.mean())
