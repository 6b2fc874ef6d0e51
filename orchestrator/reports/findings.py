"""A search in plain text: what was best, how sure that is, what mattered, what failed and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from orchestrator.analysis import importance, paired_tests
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
    """The best configuration, with the values needed to interpret it: ``finals`` are the best trial's metrics."""
    key, ranked = book.spec.objectives[0][0], book.best(len(book.trials()))
    if not ranked:
        return ["No trial was completed, so there is no answer yet. The sections below say how they ended."]
    best, values = ranked[0], [trial.values[0] for trial in ranked]
    sentences = [
        f"Trial {best.number} is the best of {counted(len(ranked), 'completed trial')}: {key} {values[0]:.4g} "
        f"({better(book)} is better) with {settings_line(best.params) or 'the settings of the study'}."
    ]
    if len(ranked) > 1:
        sentences[0] += f" The median of them has {median(values):.4g}, the worst {values[-1]:.4g}."
    group = key.partition("/")[0] + "/"
    context = {name: value for name, value in sorted(finals.items()) if name.startswith(group) and name != key}
    if "/" in key and context:
        listed = ", ".join(f"{name} {value:.4g}" for name, value in context.items())
        sentences.append(f"Interpret it together with these values of the same trial: {listed}.")
    if len(book.spec.objectives) == 2:
        sentences.append(_compromises(book, ranked))
    return sentences


def _compromises(book: Book, trials: Sequence[Trial]) -> str:
    (first, _), (second, _) = book.spec.objectives
    sign, other_sign = book.spec.signs
    points = [(trial.values[0], trial.values[1]) for trial in trials]
    pareto_front = front(points, (sign, other_sign))
    at = knee([points[i] for i in pareto_front], (sign, other_sign))
    text = (
        f"There are two objectives, {first} and {second}: {counted(len(pareto_front))} of them are on the Pareto front."
    )
    if at is None:
        return text
    chosen = trials[pareto_front[at]]
    return f"{text} The knee of the front is trial {chosen.number}: {chosen.values[0]:.4g} at {chosen.values[1]:.4g}."


def certainty(book: Book) -> list[str]:
    """How sure the answer is, and how to become surer."""
    ranked = book.best(len(book.trials()))
    if not ranked:
        return []
    value = ranked[0].values[0]
    near = [trial.number for trial in ranked[1:] if abs(trial.values[0] - value) <= CLOSE * abs(value)]
    sentences = [
        "Each configuration was trained once, so this sweep alone does not tell a better setting from a luckier seed, and the "
        f"best of {len(ranked)} is flattered by having been chosen."
    ]
    if near:
        listed = ", ".join(map(str, near[:8])) + (" …" if len(near) > 8 else "")
        sentences.append(
            f"Within {CLOSE:.0%} of it: {'trial' if len(near) == 1 else 'trials'} {listed}. Do not tell them apart."
        )
    elif len(ranked) > 1:
        second = ranked[1]
        sentences.append(
            f"No other trial is within {CLOSE:.0%} of it; next is trial {second.number} with {second.values[0]:.4g}."
        )
    done = len(book.finished())
    if done < book.total():
        sentences.append(f"The sweep is not over: {done} of {book.total()} trials have ended.")
    sentences += [
        f"It went on although it had changed after {drift.before} trials: {drift.what}." for drift in book.spec.drifts
    ]
    return sentences


def surer(book: Book, shares: Mapping[str, float]) -> str:
    """The command that would tell the best trial from the next one, over seeds; '' where there is nothing to compare.

    Of several differing parameters it is the one with the greatest of the ``shares``: see importance.
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
    parts += [f"--set {name}={_text(value)}" for name, value in changed.items() if name not in settings]
    return " ".join([*parts, *(f"--{option} {name}={_text(value)}" for name, value in settings.items())])


def _text(value: Any) -> str:
    return "none" if value is None else str(value)


def mattered(book: Book, shares: Mapping[str, float]) -> list[str]:
    """Which parameters the objective goes with, by their ``shares`` of its variance, and how well they predict it at all."""
    trials = book.trials("complete")
    if not shares:
        return ["There are too few completed trials with different settings to say what mattered."]
    greatest = [f"{name} ({share:.0%})" for name, share in list(shares.items())[:NAMED]]
    sentences = [f"Shares of the variance of {book.spec.objectives[0][0]}, by fANOVA: {', '.join(greatest)}."]
    known = importance.explained(trials)
    if known is None:
        sentences.append(f"With fewer than {importance.LEAST} completed trials these shares are hints at most.")
    elif known < 0.1:
        sentences.append(
            f"But settings did not predict it: on trials that a forest had not seen they explain {max(0.0, known):.0%} of the "
            "variance. What differs here is mostly chance, or needs more trials; do not read much into the shares."
        )
    else:
        sentences.append(f"On trials that a forest had not seen, settings explain {known:.0%} of the variance.")
    effects = importance.effects(trials, list(shares), better(book))
    sure = [f"{effect.name}: {effect.text}" for effect in effects if effect.p < paired_tests.LEVEL]
    if sure:
        sentences.append(
            f"Significant (p < {paired_tests.LEVEL:g}, corrected for {len(effects)} parameters): {'; '.join(sure)}."
        )
    elif effects:
        sentences.append(
            f"No single parameter has a significant effect (p < {paired_tests.LEVEL:g}, corrected for {len(effects)})."
        )
    sentences.append(
        "A sampler that learns does not try settings at random, so what went together need not be a cause."
    )
    return sentences


def failures(book: Book) -> list[str]:
    """What did not come to an end of its own, why, and by which settings it differs from what did."""
    done = book.finished()
    lost = [trial for trial in done if trial.outcome != "complete"]
    if not done:
        return ["No trial has ended yet."]
    if not lost:
        return [f"All {len(done)} trials that have ended were completed."]
    outcomes = Counter(str(trial.outcome) for trial in lost)
    sentences = [f"{counted(len(done))} have ended: {len(done) - len(lost)} complete, {_listed(outcomes)}."]
    if outcomes["pruned"]:
        sentences.append(
            "A pruned trial was ended early, for it was worse than others at the same time; its last value stands for "
            "less training."
        )
    avoided = [trial for trial in lost if trial.outcome in AVOIDED]
    if avoided:
        why = Counter(trial.reason or "unknown" for trial in avoided)
        sentences.append(f"{counted(len(avoided))} could not run to the end: {_listed(why)}.")
        differing = importance.apart(
            [trial.params for trial in avoided], [trial.params for trial in book.trials("complete")]
        )
        if differing:
            sentences.append(f"They differ significantly from the completed ones in {', '.join(differing)}.")
    failed = [trial for trial in lost if trial.outcome == "failed"]
    if failed:
        why = Counter(trial.reason or "unknown" for trial in failed)
        sentences.append(f"{counted(len(failed))} failed: {_listed(why)}.")
    return sentences


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
