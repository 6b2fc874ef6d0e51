"""A search in words: what was best, how sure that is, what mattered, what failed and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from orchestrator.analysis import importance as influence
from orchestrator.analysis import paired_tests as contrasts
from orchestrator.analysis.pareto import front, knee
from orchestrator.layout import TRIAL
from orchestrator.search.book import AVOIDED, Book
from orchestrator.search.spec import BETTER, Spec
from orchestrator.search.trials import Trial
from orchestrator.text import counted, program, settings_line, short

CLOSE = 0.1  # of the best value: trials that lie so near are named beside it
NAMED = 3  # of the parameters that matter


def better(book: Book) -> str:
    """Which values of the first objective are better."""
    return BETTER[book.spec.objectives[0][1]]


def answer(book: Book, finals: Mapping[str, float]) -> list[str]:
    """The best configuration beside what it must be read against: ``finals`` are the best trial's metrics."""
    key, ranked = book.spec.objectives[0][0], book.best(len(book.trials()))
    if not ranked:
        return ["No trial was completed, so there is no answer yet. What became of them is told below."]
    best, values = ranked[0], [trial.values[0] for trial in ranked]
    said = [
        f"Trial {best.number} is the best of {counted(len(ranked), 'completed trial')}: {key} {values[0]:.4g} "
        f"({better(book)} is better) with {settings_line(best.params) or 'the settings of the study'}."
    ]
    if len(ranked) > 1:
        said[0] += f" The median of them has {median(values):.4g}, the worst {values[-1]:.4g}."
    group = key.partition("/")[0] + "/"
    beside = {name: value for name, value in sorted(finals.items()) if name.startswith(group) and name != key}
    if "/" in key and beside:
        listed = ", ".join(f"{name} {value:.4g}" for name, value in beside.items())
        said.append(f"It is read beside the same trial's {listed}.")
    if len(book.spec.objectives) == 2:
        said.append(_compromises(book, ranked))
    return said


def _compromises(book: Book, trials: Sequence[Trial]) -> str:
    (first, _), (second, _) = book.spec.objectives
    one, other = book.spec.signs
    points = [(trial.values[0], trial.values[1]) for trial in trials]
    found = front(points, (one, other))
    at = knee([points[i] for i in found], (one, other))
    said = f"It asks for two things, {first} and {second}: {counted(len(found))} of them are beaten by none in both."
    if at is None:
        return said
    chosen = trials[found[at]]
    return f"{said} The knee of these compromises is trial {chosen.number}: {chosen.values[0]:.4g} at {chosen.values[1]:.4g}."


def certainty(book: Book) -> list[str]:
    """How sure the answer is, and how to become surer."""
    ranked = book.best(len(book.trials()))
    if not ranked:
        return []
    value = ranked[0].values[0]
    near = [trial.number for trial in ranked[1:] if abs(trial.values[0] - value) <= CLOSE * abs(value)]
    said = [
        "Each configuration was trained once, so this sweep alone does not tell a better setting from a luckier seed, and the "
        f"best of {len(ranked)} is flattered by having been chosen."
    ]
    if near:
        listed = ", ".join(map(str, near[:8])) + (" …" if len(near) > 8 else "")
        said.append(
            f"Within {CLOSE:.0%} of it: {'trial' if len(near) == 1 else 'trials'} {listed}. Do not tell them apart."
        )
    elif len(ranked) > 1:
        second = ranked[1]
        said.append(
            f"No other trial is within {CLOSE:.0%} of it; next is trial {second.number} with {second.values[0]:.4g}."
        )
    done = len(book.finished())
    if done < book.total():
        said.append(f"The sweep is not over: {done} of {book.total()} trials have ended.")
    said += [
        f"It went on although it had changed after {drift.before} trials: {drift.what}." for drift in book.spec.drifts
    ]
    return said


def surer(book: Book, shares: Mapping[str, float]) -> str:
    """The command that would tell the best trial from the next one, over seeds; '' where there is nothing to compare.

    Of several differing parameters it is the one with the greatest of the ``shares``: see influence.
    """
    ranked, spec = book.best(len(book.trials())), book.spec
    for other in ranked[1:]:
        ours, theirs = ({name: short(value) for name, value in trial.params.items()} for trial in (ranked[0], other))
        differing = [name for name, value in ours.items() if theirs.get(name, value) != value]
        if differing:
            important = list(shares)
            name = min(differing, key=lambda name: important.index(name) if name in important else len(important))
            held = {key: value for key, value in ranked[0].params.items() if key != name}
            pair = f"--vary {name}={ours[name]},{theirs[name]}"
            return f"{program()} compare {spec.study} {pair} --seeds 5 {_options(spec, 'set', held)}"
    return ""


def _options(spec: Spec, option: str, settings: Mapping[str, Any]) -> str:
    """The sweep's data, network and changed settings as options, and further ``settings`` by --set or --fix."""
    parts, changed = [f"--data {spec.data}"], dict(spec.set)
    if model := str(changed.pop("model", "")):
        parts.append(f"--model {Path(model).parent.name}/{Path(model).name.removeprefix(TRIAL)}")
    parts += [f"--set {name}={_text(value)}" for name, value in changed.items()]
    return " ".join([*parts, *(f"--{option} {name}={_text(value)}" for name, value in settings.items())])


def _text(value: Any) -> str:
    return "none" if value is None else str(value)


def mattered(book: Book, shares: Mapping[str, float]) -> list[str]:
    """Which parameters the objective goes with, by their ``shares`` of its variance, and how well they predict it at all."""
    trials = book.trials("complete")
    if not shares:
        return ["There are too few completed trials with different settings to say what mattered."]
    greatest = [f"{name} ({share:.0%})" for name, share in list(shares.items())[:NAMED]]
    said = [f"Shares of the variance of {book.spec.objectives[0][0]}, by fANOVA: {', '.join(greatest)}."]
    known = influence.explained(trials)
    if known is None:
        said.append(f"With fewer than {influence.LEAST} completed trials these shares are hints at most.")
    elif known < 0.1:
        said.append(
            f"But settings did not predict it: on trials that a forest had not seen they explain {max(0.0, known):.0%} of the "
            "variance. What differs here is mostly chance, or needs more trials; do not read much into the shares."
        )
    else:
        said.append(f"On trials that a forest had not seen, settings explain {known:.0%} of the variance.")
    effects = influence.effects(trials, list(shares), better(book))
    sure = [f"{one.name}: {one.words}" for one in effects if one.p < contrasts.LEVEL]
    if sure:
        said.append(
            f"Significant (p < {contrasts.LEVEL:g}, corrected for {len(effects)} parameters): {'; '.join(sure)}."
        )
    elif effects:
        said.append(
            f"No single parameter has a significant effect (p < {contrasts.LEVEL:g}, corrected for {len(effects)})."
        )
    said.append("A sampler that learns does not try settings at random, so what went together need not be a cause.")
    return said


def failures(book: Book) -> list[str]:
    """What did not come to an end of its own, why, and by which settings it differs from what did."""
    done = book.finished()
    lost = [trial for trial in done if trial.outcome != "complete"]
    if not done:
        return ["No trial has ended yet."]
    if not lost:
        return [f"All {len(done)} trials that have ended were completed."]
    outcomes = Counter(str(trial.outcome) for trial in lost)
    said = [f"{counted(len(done))} have ended: {len(done) - len(lost)} complete, {_listed(outcomes)}."]
    if outcomes["pruned"]:
        said.append(
            "A pruned trial was ended early, for it was worse than others at the same time; its last value stands for "
            "less training."
        )
    avoided = [trial for trial in lost if trial.outcome in AVOIDED]
    if avoided:
        why = Counter(trial.reason or "unknown" for trial in avoided)
        said.append(f"{counted(len(avoided))} could not be played to the end: {_listed(why)}.")
        differing = influence.apart(
            [trial.params for trial in avoided], [trial.params for trial in book.trials("complete")]
        )
        if differing:
            said.append(f"They differ significantly from the completed ones in {', '.join(differing)}.")
    failed = [trial for trial in lost if trial.outcome == "failed"]
    if failed:
        why = Counter(trial.reason or "unknown" for trial in failed)
        said.append(f"{counted(len(failed))} failed: {_listed(why)}.")
    return said


def again(book: Book) -> list[str]:
    """Commands: the sweep as it was asked for, more of it, the best trial alone, new images by it."""
    spec, best = book.spec, book.best()
    commands = [
        f"# the sweep, as it was asked for\n{spec.command}",
        f"# more trials\n{program()} resume {spec.name} --trials {book.total() * 2}",
    ]
    if best and not spec.comparison:
        options = _options(spec, "fix", best[0].params)
        once = f"{program()} run {spec.study} --trials 1 --seed {spec.seed + 1} {options}"
        commands.append(f"# the best configuration once more, with another seed\n{once}")
    if best:
        commands.append(
            f"# new images by the best trial\n{program()} sample {spec.name} {best[0].number} --n 64 -o grid.png"
        )
    return commands


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in sorted(counts.items(), key=lambda item: -item[1]))
