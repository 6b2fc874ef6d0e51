"""Chains that run far beyond training's length: what is shown of them on their way."""

import torch

from models.parts.evaluation.long_chains import PICTURED, along_chain, run_long_chains
from samplers import langevin


def test_a_row_shows_a_chain_at_its_start_and_after_each_power_of_two() -> None:
    """Steps of half the distance to 0 without noise: after k steps a pixel has 1/2^k of where it began."""
    begin = torch.ones(PICTURED + 2, 1, 2, 2)
    kernel = langevin.build(lambda x: x.square().flatten(1).sum(1) / 2, 0.5, 0.0)
    long = run_long_chains(kernel, begin, 9, 2, torch.Generator().manual_seed(0))
    expected = torch.tensor([1.0, 0.5, 0.25, 0.5**4, 0.5**8])  # the start, then after 1, 2, 4 and 8 of the 9 steps
    assert long.positions.shape == (PICTURED, 5, 1, 2, 2)
    assert torch.equal(long.positions[3, :, 0, 0, 0], expected) and torch.equal(long.end, 0.5**9 * begin)
    picture = along_chain(7, long)
    assert (picture.step, picture.columns, len(picture.images)) == (7, 5, 5 * PICTURED)
    assert torch.equal(picture.images[5:10, 0, 0, 0], expected), "the second chain is the second row"
