"""The replay buffer and the noise starts: shares, slots and distribution."""

import math

import pytest
import torch

from samplers import replay, starts

BOUNDS = (-1.0, 1.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_uniform_starts_have_the_moments_of_the_uniform_distribution() -> None:
    x = starts.uniform(5000, (2, 3), BOUNDS, generator())
    assert x.shape == (5000, 2, 3)
    assert x.min() >= -1 and x.max() <= 1
    n = x.numel()
    assert abs(x.mean().item()) < 4 * math.sqrt(1 / 3 / n)
    assert x.var().item() == pytest.approx(1 / 3, rel=0.03)


def test_the_share_of_fresh_chains() -> None:
    """95 % come from the buffer, here marked by a value that noise cannot have, and 5 % are noise."""
    buffer = replay.Replay(torch.full((20_000, 4), 7.0), BOUNDS)
    x, _ = replay.draw(buffer, 20_000, 0.05, generator())
    fresh = (x != 7).all(1).float().mean().item()
    assert abs(fresh - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 20_000)
    assert x[(x != 7).all(1)].abs().max() <= 1


@pytest.mark.parametrize(("share", "kept"), [(0.0, 1.0), (1.0, 0.0)])
def test_all_or_nothing(share: float, kept: float) -> None:
    buffer = replay.Replay(torch.full((50, 4), 7.0), BOUNDS)
    x, _ = replay.draw(buffer, 50, share, generator())
    assert (x == 7).float().mean().item() == kept


def test_what_is_put_back_is_found_in_its_slot() -> None:
    buffer = replay.init(10, (1, 2), BOUNDS, generator())
    before = buffer.images.clone()
    _, slots = replay.draw(buffer, 4, 0.05, generator(1))
    assert len(set(slots.tolist())) == 4
    x = torch.arange(8.0).view(4, 1, 2)
    buffer = replay.put(buffer, slots, x)
    torch.testing.assert_close(buffer.images[slots], x)
    others = [k for k in range(10) if k not in slots.tolist()]
    torch.testing.assert_close(buffer.images[others], before[others])


def test_drawing_does_not_change_the_buffer() -> None:
    buffer = replay.init(10, (3,), BOUNDS, generator())
    before = buffer.images.clone()
    x, _ = replay.draw(buffer, 5, 0.5, generator(1))
    x.zero_()
    torch.testing.assert_close(buffer.images, before, rtol=0, atol=0)


def test_more_chains_than_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="make it larger"):
        replay.draw(replay.init(3, (1,), BOUNDS, generator()), 4, 0.05, generator())


def test_fresh_chains_begin_where_they_are_told_to() -> None:
    """Each from what belongs to its own slot; the others go on from what the slot holds."""
    buffer = replay.Replay(torch.full((20_000, 4), 7.0), BOUNDS)
    x, slots = replay.draw(buffer, 5_000, 0.3, generator(), lambda of, _: -of[:, None].float().expand(-1, 4))
    fresh = (x != 7).all(1)
    assert torch.equal(x[fresh], -slots[fresh, None].float().expand(-1, 4))
    assert abs(fresh.float().mean().item() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 5_000)
