"""The chains of an energy-based model: what the settings mean for every sampler."""

import pytest
import torch

from models.ebm.chains import chains
from models.ebm.config import Config
from models.env import Env


@pytest.mark.parametrize("sampler", ["langevin", "proximal"])
def test_a_step_moves_a_pixel_by_at_most_the_clipped_gradient(sampler: str) -> None:
    """E(x) = 100 Σx: without clipping one step of size 2 would go to the wall."""
    config = Config(sampler=sampler, step_size=2.0, grad_clip=0.1, noise_start=0.0, noise_end=0.0)  # type: ignore[arg-type]
    begin = torch.zeros(2, 1, 8, 8)
    end, _ = chains(
        config, lambda x: 100 * x.flatten(1).sum(1), Env("digits"), begin, 1, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(end, torch.full_like(begin, -0.2))
