"""Distances to surfaces and between clouds, against brute force and scipy; what scaling does to them; planes and noise."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from models.points import metrics, neighbourhoods, noise
from models.points.pictures import splat, view

CORNERS = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
TETRAHEDRON = CORNERS[torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])]


def cloud(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))


def brute_force(points: Tensor, triangles: Tensor, n: int = 200) -> Tensor:
    """By the nearest of many places on each triangle: a little too far."""
    u, v = torch.meshgrid(torch.linspace(0, 1, n), torch.linspace(0, 1, n), indexing="ij")
    inside = u + v <= 1 + 1e-6
    u, v = u[inside][:, None, None], v[inside][:, None, None]
    a, b, c = triangles.unbind(1)
    places = (a + u * (b - a) + v * (c - a)).reshape(-1, 3)
    return torch.cdist(points, places).amin(1)


def test_a_point_inside_outside_and_on_a_tetrahedron_against_brute_force() -> None:
    points = torch.cat([cloud(60), CORNERS, CORNERS.mean(0, keepdim=True)])
    exact = metrics.to_surface(points, TETRAHEDRON).sqrt()
    nearly = brute_force(points, TETRAHEDRON)
    assert bool((exact <= nearly + 1e-6).all()) and float((nearly - exact).max()) < 1e-2
    assert float(exact[60:64].max()) < 1e-6
    assert float(exact[64]) == pytest.approx(0.25 / 3**0.5, abs=1e-6)  # from (¼, ¼, ¼) to the slanted face


def test_candidates_change_nothing_where_triangles_are_many_and_of_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = torch.Generator().manual_seed(2)
    sizes = torch.rand(300, 1, 1, generator=chance) ** 4 * 3
    triangles = torch.randn(300, 1, 3, generator=chance) + sizes * torch.randn(300, 3, 3, generator=chance)
    pruned = metrics.to_surface(cloud(200), triangles)
    monkeypatch.setattr(metrics, "CANDIDATES", 300)
    assert torch.allclose(pruned, metrics.to_surface(cloud(200), triangles), atol=1e-7)


def test_chamfer_and_hausdorff_against_a_k_d_tree_both_ways() -> None:
    a, b = cloud(100), cloud(80, 1)
    there, back = cKDTree(b.numpy()).query(a.numpy())[0], cKDTree(a.numpy()).query(b.numpy())[0]
    assert metrics.chamfer(a, b) == pytest.approx((there**2).mean() + (back**2).mean(), rel=1e-5)
    assert metrics.chamfer(a, b) == pytest.approx(metrics.chamfer(b, a))
    assert metrics.hausdorff(a, b) == pytest.approx(max(there.max(), back.max()), rel=1e-5)
    spacing = cKDTree(a.numpy()).query(a.numpy(), 2)[0][:, 1]
    assert metrics.unevenness(a) == pytest.approx(spacing.std(ddof=1) / spacing.mean(), rel=1e-4)


def test_scaling_by_two_multiplies_by_the_power_that_is_documented() -> None:
    a, b = cloud(100), cloud(80, 1)
    assert metrics.chamfer(2 * a, 2 * b) == pytest.approx(4 * metrics.chamfer(a, b), rel=1e-5)
    assert metrics.hausdorff(2 * a, 2 * b) == pytest.approx(2 * metrics.hausdorff(a, b), rel=1e-5)
    assert metrics.unevenness(2 * a) == pytest.approx(metrics.unevenness(a), rel=1e-5)
    twice = metrics.to_surface(2 * a, 2 * TETRAHEDRON)
    assert torch.allclose(twice, 4 * metrics.to_surface(a, TETRAHEDRON), rtol=1e-4, atol=1e-6)


def test_a_plane_through_neighbours_removes_what_is_across_it() -> None:
    """Points of a plane stay; one that was lifted falls nearly back, and the more neighbours the nearer."""
    flat = cloud(200)
    flat[:, 2] = 0
    assert torch.allclose(neighbourhoods.by_planes(flat[None], 8)[0], flat, atol=1e-5)
    lifted = flat.clone()
    lifted[0, 2] = 0.01
    left = [abs(float(neighbourhoods.by_planes(lifted[None], k)[0, 0, 2])) for k in (8, 32)]
    assert left[1] < left[0] < 0.005


def test_the_mean_of_neighbours_leaves_the_point_itself_out() -> None:
    line = torch.arange(20.0)[:, None] * torch.tensor([[1.0, 0, 0]])
    indices, distances = neighbourhoods.nearest(line[None], 2)
    assert sorted(indices[0, 5].tolist()) == [4, 6] and distances[0, 5].tolist() == [1, 1]
    assert float(neighbourhoods.by_means(line[None], 2)[0, 5, 0]) == pytest.approx(5)
    gathered = neighbourhoods.gather(torch.stack([line, 10 * line]), indices.repeat(2, 1, 1))
    assert sorted(gathered[1, 5, :, 0].tolist()) == [40, 60]


@pytest.mark.parametrize("severity", [1, 5])
def test_corruptions_are_those_of_modelnet40_c(severity: int) -> None:
    clean, number = cloud(1000) * 0.2, severity - 1

    def of(name: str) -> Tensor:
        return noise.corrupted(clean, name, severity, torch.Generator().manual_seed(0))

    assert float((of("uniform") - clean).abs().max()) == pytest.approx((0.01, 0, 0, 0, 0.05)[number], rel=0.01)
    assert float((of("gaussian") - clean).std()) == pytest.approx((0.01, 0, 0, 0, 0.03)[number], rel=0.05)
    moved = (of("impulse") - clean).abs()
    assert int((moved.sum(1) > 0).sum()) == (33, 0, 0, 0, 100)[number]
    assert np.allclose(moved[moved.sum(1) > 0], 0.1, atol=1e-6)
    for name, more, reach in (("upsampling", (200, 0, 0, 0, 1000), 0.05), ("background", (22, 0, 0, 0, 50), 1.0)):
        noisy = of(name)
        assert len(noisy) == 1000 + more[number] and torch.equal(noisy[:1000], clean)
        if name == "upsampling":
            assert float(torch.cdist(noisy[1000:], clean).amin(1).max()) <= reach * 3**0.5
        else:
            assert 0.8 < float(noisy[1000:].abs().max()) <= reach


def test_a_picture_shows_near_points_before_far_ones_and_their_distances_as_colours() -> None:
    """Two points behind each other, seen from where the nearer one hides the other: red is far from the surface."""
    towards = view().T[:, 1]
    pair = torch.stack([-0.5 * towards, 0.5 * towards])
    image = splat(pair, torch.tensor([0.0, 0.1]))
    middle = image[:, 55:58, 55:58].mean((1, 2))
    assert middle[2] > middle[0], "the nearer one, which is blue"
    assert float(image[:, 0, 0].min()) == 1.0 and bool((image.abs() <= 1).all())
