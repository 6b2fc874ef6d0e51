"""Schedules against their formulas."""

import pytest

from samplers import schedules


def test_geometric_is_the_formula() -> None:
    """ε_t = ε_start (ε_end / ε_start)^(t/T) for t = 1 … T."""
    schedule = schedules.build("geometric", 0.3, 0.003, 4)
    assert [schedule(k) for k in range(4)] == pytest.approx([0.3 * 0.01 ** (t / 4) for t in (1, 2, 3, 4)])


@pytest.mark.parametrize("name", ["geometric", "linear", "cosine"])
def test_all_fall_to_their_end_and_stay_there(name: str) -> None:
    schedule = schedules.build(name, 0.5, 0.01, 10)
    values = [schedule(k) for k in range(10)]
    assert values == sorted(values, reverse=True)
    assert 0.01 < values[0] < 0.5
    assert values[-1] == pytest.approx(0.01)
    assert schedule(25) == pytest.approx(0.01)


def test_constant_ignores_the_end() -> None:
    schedule = schedules.build("constant", 0.2, 0.0, 3)
    assert {schedule(k) for k in range(5)} == {0.2}


def test_linear_and_cosine_half_way() -> None:
    assert schedules.build("linear", 1.0, 0.0, 10)(4) == pytest.approx(0.5)
    assert schedules.build("cosine", 1.0, 0.0, 10)(4) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("steep", 1, 0, 3), "there are: constant, geometric, linear, cosine"),
        (("geometric", 1, 0, 3), "above 0"),
        (("linear", 1, 0, 0), "at least one step"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, float, float, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedules.build(*arguments)
