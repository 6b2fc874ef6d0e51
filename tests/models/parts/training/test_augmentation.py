"""Noise has its deviation; varied images are windows into the mirrored image; deformed ones are seen through affine maps."""

import torch

from models.parts.training.augmentation import deform, noisy, vary


def test_each_is_a_window_of_the_mirrored_image() -> None:
    x = torch.arange(64.0).view(1, 1, 8, 8).repeat(2000, 1, 1, 1)
    chance = torch.Generator().manual_seed(0)
    assert vary(x, "none", chance) is x
    moved = vary(x, "shift", chance)
    padded = torch.nn.functional.pad(x[:1], (1,) * 4, mode="reflect")[0, 0]
    windows = torch.stack([padded[i : i + 8, j : j + 8] for i in range(3) for j in range(3)])
    which = (moved.view(-1, 1, 64) == windows.view(1, 9, 64)).all(2)
    assert (which.sum(1) == 1).all()
    assert (which.float().mean(0) - 1 / 9).abs().max() < 4 * (8 / 81 / 2000) ** 0.5
    flipped = vary(x, "shift_flip", chance)
    upright = (flipped.view(-1, 1, 64) == windows.view(1, 9, 64)).all(2).any(1)
    mirrored = (flipped.flip(3).reshape(-1, 1, 64) == windows.view(1, 9, 64)).all(2).any(1)
    assert (upright ^ mirrored).all()
    assert abs(upright.float().mean() - 0.5) < 4 * (0.25 / 2000) ** 0.5


def test_noise_has_its_deviation_and_is_not_cut() -> None:
    n, deviation, chance = 100_000, 0.3, torch.Generator().manual_seed(0)
    x = torch.ones(n, 1, 1, 1)
    noise = noisy(x, deviation, chance) - x
    assert abs(noise.mean()) < 4 * deviation / n**0.5
    assert abs(noise.std() - deviation) < 4 * deviation / (2 * n) ** 0.5
    assert noisy(x, 0.0, chance) is x


def test_a_deformed_ramp_is_a_ramp_whose_map_is_within_reach_and_evenly_so() -> None:
    """A ramp is interpolated exactly: the value at a place is where it was taken from, up to the border."""
    n, side, reach = 4000, 9, 0.1
    at = (2 * torch.arange(side) + 1) / side - 1
    ramp = torch.stack([at.expand(side, side), at[:, None].expand(side, side)])[None].expand(n, -1, -1, -1)
    taken = deform(ramp.contiguous(), reach, torch.Generator().manual_seed(0))
    middle, step = taken[:, :, 4, 4], 2 / side
    shift = middle / reach
    right, down = ((taken[:, :, y, x] - middle) / (2 * step) for y, x in ((4, 6), (6, 4)))
    identity = torch.eye(2)
    for column, there in ((right, identity[0]), (down, identity[1])):
        found = (column - there) / reach
        assert found.abs().max() < 1.001 and (found.mean(0).abs() < 4 * (1 / 3 / n) ** 0.5).all()
    assert shift.abs().max() < 1.001 and (shift.square().mean(0) - 1 / 3).abs().max() < 4 * (4 / 45 / n) ** 0.5
