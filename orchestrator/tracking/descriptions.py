"""What MLflow shows of a sweep and of a trial in words: Markdown, in which the first lines say what matters."""

import re
from collections import Counter
from collections.abc import Collection, Mapping

from orchestrator.messages import Ended
from orchestrator.search.book import Book
from orchestrator.search.spec import BETTER, Spec
from orchestrator.search.trials import Trial, run_of
from orchestrator.text import clock, short

SHOWN = 6  # of the best trials
PAIRS = re.compile(r"(--set|--fix) ([^\s'\"]+)(?=\s|$)")  # settings parted by commas, where nothing is quoted


def result(spec: Spec, end: Ended) -> str:
    """What came of a trial in a few words, for its name: its values, or how it ended."""
    if end.outcome != "complete":
        return end.outcome.replace("_", " ")
    pairs = zip(spec.objectives, end.values, strict=False)
    return " · ".join(f"{key.partition('/')[0].replace('_', ' ')} {short(value)}" for (key, _), value in pairs)


def trial(spec: Spec, number: int, end: Ended, fresh: str = "") -> str:
    """A trial that has ended: its values beside what they are read against, or why it has none; how to go on with it.

    ``fresh`` is the key of the FID of new images, which stands in a row of its own where it is no objective.
    """
    lines = []
    for (key, direction), value in zip(spec.objectives, end.values, strict=False):
        lines.append(f"**{key} {short(value)}** ({BETTER[direction]} is better)" + _others(key, end.group_values))
    n_images = spec.base.get("evaluation_samples")
    if fresh in end.group_values and n_images:
        if fresh not in {key for key, _ in spec.objectives}:
            lines.append(f"**{fresh} {short(end.group_values[fresh])}**" + _others(fresh, end.group_values))
        lines.append(f"{fresh} is of {n_images:,} new images: FIDs compare only at the same number.")
    if spec.caution and end.values:
        lines.append(f"**{spec.caution}**")
    if end.outcome in ("failed", "diverged", "out_of_memory"):
        lines.insert(0, f"**{end.outcome.replace('_', ' ')}**: {end.reason}\n\n```\n{end.detail[-4000:]}\n```")
    because = f" ({end.reason})" if end.outcome == "pruned" and end.reason else ""
    lines.append(
        f"{end.outcome.replace('_', ' ')}{because} after {clock(end.seconds)}, a trial of the sweep "
        f"{_link(spec.name, spec.run)} · `sweep show {spec.name} {number}`"
    )
    return "\n\n".join(lines)


def _others(key: str, values: Mapping[str, float]) -> str:
    """The other numbers of the key's group, which it is read against."""
    group = key.partition("/")[0]
    others = {name: value for name, value in values.items() if name != key and name.partition("/")[0] == group}
    return "".join(f" · {name.removeprefix(f'{group}/')} {short(value)}" for name, value in others.items())


def sweep(book: Book, ending: str, pictures: Collection[str] = ()) -> str:
    """A sweep: the question, where it stands, the best trials, how to go on, and the ``pictures`` of its run."""
    spec = book.spec
    done = book.finished()
    outcomes = Counter(trial.outcome.replace("_", " ") for trial in done)
    counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    lines = [
        f"**{' '.join(spec.question.split())}**",
        "",
        f"{len(done)} of {book.total()} trials finished"
        + (f": {counted}." if counted else ".")
        + (f" {ending}" if ending else ""),
        "",
        *_best(book, book.best(SHOWN)),
        *([f"**{spec.caution}**", ""] if spec.caution else []),
    ]
    lines += [f"Went on although it had changed after {drift.before} trials: {drift.what}.\n" for drift in spec.drifts]
    if spec.changes:
        lines.append(f"Sampler: {spec.history_text('sampler')}. Pruner: {spec.history_text('pruner')}.\n")
    lines += [
        f"Made by {_command(spec.command)}; go on with more trials: `sweep resume {spec.name} --trials {book.total() * 2}`",
        *(_picture(path, spec.run) for path in pictures if spec.run),
    ]
    return "\n".join(lines)


def _best(book: Book, best: list[Trial]) -> list[str]:
    """A table of trials, each a link to its run."""
    if not best:
        return []
    spec = book.spec
    names = [name for name in spec.space if any(name in trial.params for trial in best)]
    goals = [key for key, _ in spec.objectives]
    head = " | ".join(["trial", *goals, *names])
    lines = [f"Best trials ({_directions(spec)}):", "", f"| {head} |", "|---" * (1 + len(goals) + len(names)) + "|"]
    for trial in best:
        cells = [
            _link(f"trial\N{NO-BREAK SPACE}{trial.number}", run_of(spec, trial)),
            *(f"{value:.4g}" for value in trial.values),
        ]
        cells += [short(trial.params[name]) if name in trial.params else "" for name in names]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _command(command: str) -> str:
    """As code that may break: each setting behind an option of its own, which means the same, or the page becomes too wide."""

    def apart(match: re.Match[str]) -> str:
        option, pairs = match.groups()
        return " ".join(f"{option} {pair}" for pair in pairs.split(",") if pair)

    return f"`{PAIRS.sub(apart, command)}`"


def _picture(path: str, run: str) -> str:
    """A picture of a run, in its description: an address beside that of MLflow's pages."""
    return f'\n<img src="get-artifact?path={path}&run_uuid={run}" alt="{path}" style="max-width: 100%">'


def _link(text: str, run: str) -> str:
    """A link to a run's page, whose address the tracker knows."""
    return f"[{text}](run:{run})" if run else text


def _directions(spec: Spec) -> str:
    return ", ".join(f"{key}: {BETTER[direction]} is better" for key, direction in spec.objectives)
