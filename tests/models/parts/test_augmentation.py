"""Varied images are windows into the mirrored image, flipped or not, and as often one as the other."""

import torch

from models.parts.augmentation import vary


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
