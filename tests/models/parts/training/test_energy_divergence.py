"""Signs of a lost training: each rule at its bound, and forgiveness before it."""

import math

import pytest

from models.events import Diverged
from models.parts.training.energy_divergence import PATIENCE, EnergyMonitor


def judge(
    monitor: EnergyMonitor, data: float = 0.0, samples: float = 0.0, alpha: float = 0.1, saturation: float = 0.0
) -> EnergyMonitor:
    return monitor.update(1, alpha, data, samples, saturation, past_grace_period=True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_energies_end_it_at_once(value: float) -> None:
    with pytest.raises(Diverged) as caught:
        judge(EnergyMonitor(), samples=value)
    assert caught.value.reason == "non_finite"


@pytest.mark.parametrize(("alpha", "energy"), [(0.1, 51.0), (1.0, 5.1), (0.0, 1.02e4)])
def test_energies_beyond_their_bound_end_it_at_once(alpha: float, energy: float) -> None:
    judge(EnergyMonitor(), energy * 0.97, energy * 0.97, alpha)
    with pytest.raises(Diverged) as caught:
        judge(EnergyMonitor(), energy, energy, alpha)
    assert caught.value.reason == "energy_out_of_bounds"


def test_a_gap_that_stays_pinned_ends_it_after_some_patience() -> None:
    monitor = EnergyMonitor()
    for _ in range(PATIENCE - 1):
        monitor = judge(monitor, data=-3.0, samples=3.0)
    with pytest.raises(Diverged) as caught:
        judge(monitor, data=-3.0, samples=3.0)
    assert caught.value.reason == "pinned"
    monitor = judge(monitor)  # one good report, and it is forgiven
    for _ in range(PATIENCE - 1):
        monitor = judge(monitor, data=-3.0, samples=3.0)


@pytest.mark.parametrize("difference", [0.35, -0.35])
def test_saturation_unlike_the_datas_ends_it_once_settled(difference: float) -> None:
    monitor = EnergyMonitor()
    for _ in range(10):
        monitor = monitor.update(1, 0.1, 0.0, 0.0, difference, past_grace_period=False)
    for _ in range(PATIENCE - 1):
        monitor = judge(monitor, saturation=difference)
    with pytest.raises(Diverged) as caught:
        judge(monitor, saturation=difference)
    assert caught.value.reason == "saturation"


def test_health_is_left_alone() -> None:
    monitor = EnergyMonitor()
    for _ in range(100):
        monitor = judge(monitor, data=0.2, samples=0.25, saturation=0.1)
    assert monitor == EnergyMonitor()
