"""Intervals, tests and their correction, against hand-worked values, scipy and what they promise."""

import math
import random
from dataclasses import replace

import pytest
from scipy import stats

from orchestrator.analysis import paired_tests
from orchestrator.search import factorial
from orchestrator.search.factorial import Comparison
from orchestrator.search.trials import Trial


def compared(*sizes: int, race: bool = False) -> Comparison:
    """A factorial of fields a, b, … with so many values each."""
    return factorial.full({"abcdef"[i]: list(range(size)) for i, size in enumerate(sizes)}, race)


def grid(arms: int, seeds: int, value: object) -> list[Trial]:
    """Completed trials; ``value`` is called with arm and seed."""
    return [
        Trial(seed * arms + arm, values=(value(arm, seed),), arm=arm, replicate=seed)  # type: ignore[operator]
        for seed in range(seeds)
        for arm in range(arms)
    ]


def diverged(trial: Trial) -> Trial:
    """The same trial, had it diverged."""
    return replace(trial, state="pruned", outcome="diverged", reason="runaway", values=())


def test_a_mean_with_students_interval() -> None:
    mean = paired_tests.interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx((2.0, 2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3), 3), abs=1e-5)
    assert math.isnan(paired_tests.interval([1.0]).low)


def test_a_share_with_wilsons_interval() -> None:
    squared = stats.norm.ppf(0.975) ** 2
    assert paired_tests.share(0, 5) == pytest.approx((0, 0, squared / (5 + squared), 5), abs=1e-9)


def test_holm_by_hand() -> None:
    assert paired_tests.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert paired_tests.holm([0.9, 0.8]) == [1.0, 1.0] and paired_tests.holm([]) == []


def test_a_paired_test_is_of_logarithms_where_it_can_be() -> None:
    chance = random.Random(0)
    a, b = [[chance.lognormvariate(m, 0.3) for _ in range(7)] for m in (1.0, 0.7)]
    ratio, effect, low, high, p = paired_tests.paired(a, b)
    reference = stats.ttest_rel([math.log(x) for x in a], [math.log(x) for x in b])
    bounds = reference.confidence_interval(0.95)
    assert ratio and p == pytest.approx(reference.pvalue)
    assert (low, high) == pytest.approx((math.exp(bounds.low), math.exp(bounds.high)))
    assert paired_tests.paired([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == pytest.approx((True, 2.0, 2.0, 2.0, 0.0))
    assert paired_tests.paired([1.0, 0.0, -1.0], [0.0, 1.0, -2.0])[:2] == (False, pytest.approx(1 / 3))


def value_of(arm: int, seed: int) -> float:
    return float(arm + seed)


def test_an_objective_of_exactly_0_is_compared_by_differences() -> None:
    assert paired_tests.paired([0.0, 1.0, 2.0], [1.0, 2.0, 3.5])[:2] == (False, pytest.approx(-3.5 / 3))
    trials = grid(4, 3, value_of)
    (of_a,) = [test for test in paired_tests.contrasts(compared(2, 2), trials, "minimize") if test.of == "a"]
    assert of_a.ratio and 0.2 < of_a.effect < 0.5, "means over arms are above 0, though one of their values is not"
    (best,) = [test for test in paired_tests.contrasts(compared(2), grid(2, 3, value_of), "minimize")]
    assert not best.ratio and best.effect == pytest.approx(-1.0)


def test_a_factor_is_told_from_one_that_does_nothing() -> None:
    """Seeds matter more than either, so it takes the pairs to see it."""
    chance = random.Random(1)
    luck = [chance.lognormvariate(0, 1) for _ in range(6)]
    comparison = compared(2, 2)

    def value(arm: int, seed: int) -> float:
        return luck[seed] * (2 if arm // 2 else 1) * chance.lognormvariate(0, 0.1)

    results = paired_tests.contrasts(comparison, grid(4, 6, value), "minimize")
    by_name = {(contrast.of, contrast.a, contrast.b): contrast for contrast in results}
    assert by_name["a", "0", "1"].significant and by_name["a", "0", "1"].effect == pytest.approx(0.5, rel=0.15)
    assert not by_name["b", "0", "1"].significant
    assert len([contrast for contrast in results if not contrast.of]) == 3, "the best arm against each other"


def test_false_findings_are_as_rare_as_promised() -> None:
    """Where all arms are the same, at most 5 % of comparisons find anything (here with 4 standard errors of 300)."""
    chance = random.Random(2)
    comparison = compared(2, 2)
    false = 0
    for _ in range(300):
        trials = grid(4, 5, lambda arm, seed: chance.lognormvariate(0, 0.5))
        of_factors = [contrast.p for contrast in paired_tests.contrasts(comparison, trials, "minimize") if contrast.of]
        false += min(paired_tests.holm(of_factors)) < paired_tests.LEVEL
    assert false <= 300 * 0.05 + 4 * math.sqrt(300 * 0.05 * 0.95)


def test_only_seeds_that_both_completed_are_compared() -> None:
    trials = grid(2, 5, lambda arm, seed: 1.0 + seed + arm / 10)
    trials[1] = diverged(trials[1])
    (contrast,) = paired_tests.contrasts(compared(2), trials, "minimize")
    assert contrast.n == 4
    assert paired_tests.contrasts(compared(2), trials[:6], "minimize") == [], "two pairs are too few to test"


def test_a_race_drops_what_is_worse_and_keeps_what_is_not() -> None:
    chance = random.Random(3)
    comparison = compared(3, race=True)

    def value(arm: int, seed: int) -> float:
        return (1.0, 1.0, 5.0)[arm] * chance.lognormvariate(0, 0.1)

    trials = grid(3, 4, value)
    dropped = paired_tests.losers(comparison, trials, "minimize")
    assert list(dropped) == [2] and "times the best arm's with 4 seeds" in dropped[2]
    assert paired_tests.losers(comparison, trials[:6], "minimize") == {}, "two blocks are too few"
    assert paired_tests.losers(comparison, trials[:-1], "minimize").keys() == {2}, "three whole blocks"


def test_a_race_drops_what_is_never_completed() -> None:
    comparison = compared(2, race=True)
    trials = [diverged(trial) if trial.arm else trial for trial in grid(2, 5, lambda arm, seed: 1.0)]
    assert paired_tests.losers(comparison, trials, "minimize") == {
        1: f"completed 0 of 5 times, the best arm 5 (p = {1 / 252:.2g})"
    }
    assert paired_tests.losers(comparison, trials[:6], "minimize") == {}


def test_blocks_are_played_one_after_the_other_and_dropped_arms_no_more() -> None:
    comparison = compared(3)
    counts, order = [0, 0, 0], []
    for _ in range(6):
        arm, replicate = factorial.upcoming(counts, comparison)
        counts[arm] += 1
        order.append((arm, replicate))
    assert order == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    assert factorial.total(counts, 15, comparison) == 15 and factorial.total(counts, 16, comparison) == 16
    arms = [
        contrast.model_copy(update={"dropped": "worse"}) if i == 1 else contrast
        for i, contrast in enumerate(comparison.arms)
    ]
    raced = comparison.model_copy(update={"arms": arms})
    assert factorial.total(counts, 15, raced) == 12 and factorial.upcoming(counts, raced) == (0, 2)


def test_when_a_score_is_reached() -> None:
    curve = [(10, 5.0), (20, 2.0), (30, 1.0)]
    assert paired_tests.reached(curve, 2.0, "minimize") == 20 and paired_tests.reached(curve, 0.5, "minimize") is None
    assert paired_tests.reached(curve, 3.0, "maximize") == 10
    trials = [Trial(number, values=(value,)) for number, value in enumerate((1.0, 5.0, 3.0))]
    assert paired_tests.mark(trials, "minimize") == 3.0
