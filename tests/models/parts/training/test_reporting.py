"""Steps of reports and evaluations, and the grace period."""

import math

from models.parts.training.reporting import finite, is_report_step, milestones, past_grace_period


def test_moments() -> None:
    """A thousand updates are told of a hundred times; short trainings after each update; the last one always."""
    assert sum(is_report_step(done, 1000) for done in range(1, 1001)) == 100
    assert all(is_report_step(done, 7) for done in range(1, 8))
    assert [done for done in range(1, 1004) if is_report_step(done, 1003)][-2:] == [1000, 1003]
    assert milestones(1000, 4) == {250, 500, 750} and milestones(2, 4) == {1}
    assert [past_grace_period(done, 1000, 100) for done in (250, 251)] == [False, True]
    assert [past_grace_period(done, 8, 100) for done in (100, 101)] == [False, True]


def test_what_is_no_number_is_left_out() -> None:
    assert finite({"a": 1.0, "b": math.nan, "c": math.inf}) == {"a": 1.0}
