"""A comparison read from the book and from MLflow: what its trials were, and what they support, in a table and in words."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple, Protocol

from orchestrator.analysis import paired_tests
from orchestrator.analysis.paired_tests import Contrast, Interval, effect_text
from orchestrator.search.book import Book
from orchestrator.search.factorial import Arm, Comparison
from orchestrator.search.trials import Trial, run_of
from orchestrator.text import short

EVALUATIONS = "training/network_evaluations"  # a metric of trainers that count them: batches through the network so far


class History(Protocol):
    """What a tracker knows of a run's metrics."""

    def last(self, run: str) -> Mapping[str, float]:
        """The last value of every metric."""

    def history(self, run: str, key: str) -> Sequence[tuple[int, float]]:
        """Steps and values of a metric."""


class ComparedTrial(NamedTuple):
    """A finished trial of an arm, with what only MLflow knows of it."""

    trial: Trial
    finals: Mapping[str, float] = {}  # last values of the metrics of the objective's group
    curve: Sequence[tuple[float, float]] = ()  # updates and objective
    cost: float | None = None  # network evaluations of an update


class ArmResult(NamedTuple):
    """What an arm's trials say."""

    name: str
    trials: int
    completed: Interval  # share of its trials
    endings: dict[str, int]  # of those that were not completed, by what ended them
    quality: dict[str, Interval]  # last values of the objectives and of the first one's group, over completed trials
    reached: int  # completed trials that reached the mark
    updates: float | None  # median over them
    evaluations: float | None  # the same in network evaluations
    dropped: str


class Result(NamedTuple):
    """What a comparison says."""

    objective: str
    direction: str
    mark: float | None  # the score to whose reaching convergence is timed
    arms: list[ArmResult]
    contrasts: list[Contrast]
    best: int | None  # the arm with the best mean


def losers(book: Book) -> dict[int, str]:
    """Arms that are to leave the race, and why."""
    assert book.spec.comparison is not None
    trials = [entry.trial for entry in compared(book)]
    return paired_tests.losers(book.spec.comparison, trials, book.spec.objectives[0][1])


def compared(book: Book, store: History | None = None) -> list[ComparedTrial]:
    """All finished trials of its arms; with a ``store`` also what only MLflow knows: their curves and other metrics."""
    keys = [key for key, _ in book.spec.objectives]
    trials = [trial for trial in book.finished() if trial.arm is not None]
    return [_looked_up(trial, run_of(book.spec, trial), keys, store) for trial in trials]


def _looked_up(trial: Trial, run: str, keys: Sequence[str], store: History | None) -> ComparedTrial:
    """With the group of metrics of the first objective, by which trials are compared, and the other objectives."""
    if store is None or not run:
        return ComparedTrial(trial)
    group = keys[0].rpartition("/")[0]
    last = store.last(run)
    finals = {name: value for name, value in last.items() if name.rpartition("/")[0] == group or name in keys}
    curve = store.history(run, keys[0])
    spent = store.history(run, EVALUATIONS) if EVALUATIONS in last else []
    cost = spent[-1][1] / spent[-1][0] if spent and spent[-1][0] else None
    return ComparedTrial(trial, finals, curve, cost)


def result(comparison: Comparison, compared: Sequence[ComparedTrial], objective: str, direction: str) -> Result:
    """What the trials say."""
    trials = [entry.trial for entry in compared]
    mark = paired_tests.mark(trials, direction)
    arms = [
        _arm(arm, [entry for entry in compared if entry.trial.arm == i], objective, direction, mark)
        for i, arm in enumerate(comparison.arms)
    ]
    order = paired_tests.ranked(paired_tests.by_arm(trials, len(arms)), direction)
    tests = paired_tests.contrasts(comparison, trials, direction)
    return Result(objective, direction, mark, arms, tests, order[0] if order else None)


def _arm(arm: Arm, compared: Sequence[ComparedTrial], objective: str, direction: str, mark: float | None) -> ArmResult:
    completed = [entry for entry in compared if entry.trial.outcome == "complete"]
    lost = [entry.trial for entry in compared if entry.trial.outcome != "complete"]
    values = [entry.trial.values[0] for entry in completed]
    quality = {objective: paired_tests.interval(values)} if values else {}
    for key in sorted({key for entry in completed for key in entry.finals} - {objective}):
        quality[key] = paired_tests.interval([entry.finals[key] for entry in completed if key in entry.finals])
    updates, evaluations = [], []
    for entry in completed:
        update = None if mark is None else paired_tests.reached(entry.curve, mark, direction)
        if update is not None:
            updates.append(update)
            if entry.cost is not None:
                evaluations.append(update * entry.cost)
    return ArmResult(
        name=arm.name,
        trials=len(compared),
        completed=paired_tests.share(len(completed), len(compared)) if compared else Interval(0.0, 0.0, 1.0, 0),
        endings=dict(Counter(trial.reason or trial.outcome for trial in lost)),
        quality=quality,
        reached=len(updates),
        updates=median(updates) if updates else None,
        evaluations=median(evaluations) if evaluations else None,
        dropped=arm.dropped,
    )


def verdict(result: Result) -> str:
    """In plain text: what the numbers support, and what they do not."""
    done = [arm for arm in result.arms if arm.quality]
    if result.best is None:
        return "No trial was completed, so nothing can be said of quality." + _endings(result.arms)
    best, key = result.arms[result.best], result.objective
    mean = best.quality[key]
    parts = [f"The best mean {key} is {_interval(mean)}, by {best.name}."]
    of_factors = [contrast for contrast in result.contrasts if contrast.of]
    of_arms = [contrast for contrast in result.contrasts if not contrast.of]
    parts += [_sentence(contrast, result) for contrast in of_factors]
    beaten = [contrast.b for contrast in of_arms if contrast.significant]
    open_ = [contrast.b for contrast in of_arms if not contrast.significant]
    if beaten:
        parts.append(f"{best.name} is significantly better than {_list(beaten)} (Holm-corrected, α = 5 %).")
    if open_:
        parts.append(f"These trials do not distinguish {best.name} from {_list(open_)}.")
    untested = {arm.name for arm in done} - {contrast.b for contrast in of_arms} - {best.name}
    if untested:
        parts.append(
            f"With fewer than {paired_tests.LEAST} seeds in common, {_list(sorted(untested))} cannot be tested against the best."
        )
    if result.contrasts:
        tests = f"{len(result.contrasts)} paired test{'s' if len(result.contrasts) > 1 else ''}"
        parts.append(f"The significance level is 5 % over {tests} in all (Holm).")
    return " ".join(parts) + _endings(result.arms) + _speed(result)


def _sentence(contrast: Contrast, result: Result) -> str:
    pair = f"{contrast.of}={contrast.a} against {contrast.of}={contrast.b}"
    if contrast.significant:
        lower = contrast.effect < (1 if contrast.ratio else 0)
        better = contrast.a if lower == (result.direction == "minimize") else contrast.b
        effect = f"{pair} has {effect_text(contrast)} the {result.objective}, averaged over the rest"
        return f"{contrast.of}={better} is better: {effect} (p = {contrast.adjusted:.2g})."
    effect = f"{effect_text(contrast)} the {result.objective}, p = {contrast.adjusted:.2g}"
    return f"Between {pair} no difference is shown ({effect}), which does not show that there is none."


def _endings(arms: Sequence[ArmResult]) -> str:
    lost = [
        f"{arm.name} ({', '.join(f'{n} × {why}' for why, n in arm.endings.items())} of {arm.trials})"
        for arm in arms
        if arm.endings
    ]
    if not lost:
        return f" All {sum(arm.trials for arm in arms)} trials were completed."
    caveat = "Means are over completed trials alone, which flatters an arm that loses its bad ones."
    return f" Not all were completed: {'; '.join(lost)}. {caveat}"


def _speed(result: Result) -> str:
    counted = all(arm.evaluations is not None for arm in result.arms if arm.reached)
    timed = [(arm, cost) for arm in result.arms if (cost := arm.evaluations if counted else arm.updates) is not None]
    if not timed or result.mark is None:
        return ""
    fastest, cost = min(timed, key=lambda pair: (-pair[0].reached / pair[0].trials, pair[1]))
    unit = "network evaluations" if counted else "updates"
    return (
        f" {result.objective} = {result.mark:.3g}, the median of all ends, is reached soonest by {fastest.name}: "
        f"{fastest.reached} of {fastest.trials} trials, at a median of {cost:,.0f} {unit}, "
        "as finely as a trial looks at itself."
    )


def _interval(value: Interval) -> str:
    if value.n < 2:
        return f"{value.mean:.3g} (a single trial)"
    return f"{value.mean:.3g} (95 % interval {value.low:.3g} to {value.high:.3g}, {value.n} seeds)"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def interval_text(value: Interval) -> str:
    """A mean and its interval."""
    return short(value.mean) + (f" ({short(value.low)} to {short(value.high)})" if value.n > 1 else "")


def arms(result: Result) -> tuple[list[str], list[list[str]]]:
    """A table's head and rows: a row an arm, what it was compared by first."""
    keys = sorted({key for arm in result.arms for key in arm.quality}, key=lambda key: (key != result.objective, key))
    rows = []
    for arm in result.arms:
        cells = [interval_text(arm.quality[key]) if key in arm.quality else "" for key in keys]
        rows.append([arm.name, f"{round(arm.completed.mean * arm.trials)}/{arm.trials}", *cells])
    return ["arm", "completed", *keys], rows


def tests(result: Result) -> tuple[list[str], list[list[str]]]:
    """The same of the paired tests."""
    rows = []
    for contrast in result.contrasts:
        pair = (
            f"{contrast.of}={contrast.a} against {contrast.of}={contrast.b}"
            if contrast.of
            else f"{contrast.a} against {contrast.b}"
        )
        rows.append([pair, str(contrast.n), effect_text(contrast), f"{contrast.p:.2g}", f"{contrast.adjusted:.2g}"])
    return ["test", "pairs", "effect (95 % interval)", "p", "p, corrected"], rows


def markdown(result: Result) -> str:
    """The arms in a table, and the tests in another."""
    lines = _markdown(*arms(result))
    if result.contrasts:
        lines += ["", *_markdown(*tests(result))]
    return "\n".join(lines)


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]


def _plain(value: Interval) -> dict[str, Any]:
    """JSON has no NaN."""
    return {name: None if math.isnan(number) else number for name, number in value._asdict().items()}


def plain(result: Result) -> dict[str, Any]:
    """All of it as values for JSON."""
    arms = []
    for arm in result.arms:
        quality = {key: _plain(value) for key, value in arm.quality.items()}
        arms.append(arm._asdict() | {"completed": _plain(arm.completed), "quality": quality})
    return result._asdict() | {"arms": arms, "contrasts": [vars(contrast) for contrast in result.contrasts]}
