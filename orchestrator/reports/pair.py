"""The report of two sweeps, side by side."""

from statistics import median

from orchestrator.analysis.scale import spans_decades
from orchestrator.errors import UserError
from orchestrator.figures import timeline as figures_report
from orchestrator.figures.timeline import OUTCOMES
from orchestrator.reports.html import Part, Table, figure, picture, render
from orchestrator.reports.sweep import about, again, cost
from orchestrator.reports.sweep_data import SweepData
from orchestrator.search.book import Book
from orchestrator.text import short

JUDGE = "judge/hash"  # by which trials note who scored them
COSTS = ("trials", "time of all", "median", "network evaluations")


def write(first: Book, second: Book) -> str:
    """The page, as HTML; UserError where the two cannot be put side by side."""
    names = first.spec.name, second.spec.name
    if names[0] == names[1]:
        raise UserError(f"{names[0]} is one sweep; name two, or leave the second one out")
    goals = [one.spec.objectives[0] for one in (first, second)]
    if goals[0] != goals[1]:
        told = " and ".join(f"{direction} {key}" for key, direction in goals)
        raise UserError(f"{names[0]} and {names[1]} are after different things ({told}); make a report of each")
    both = SweepData(first), SweepData(second)
    parts = [_answer(*both), _differences(first, second), _best(*both), _ends(*both)]
    for letter, one in zip("AB", both, strict=True):
        part = again(one)
        part.title = f"Run {letter} again"
        parts.append(part)
    question = first.spec.question if first.spec.question == second.spec.question else "Two questions, one objective."
    return render(f"{names[0]} and {names[1]}", question, f"A: {about(first)}  ·  B: {about(second)}", parts)


def _answer(a: SweepData, b: SweepData) -> Part:
    part, key, sign = Part("The answer"), a.book.spec.objectives[0][0], a.book.spec.signs[0]
    values = [[trial.values[0] for trial in one.completed] for one in (a, b)]
    if all(values):
        ours, theirs = values[0][0], values[1][0]
        winner = "A" if sign * ours < sign * theirs else "B"
        part.words.append(
            f"Both best trials have {key} {ours:.4g}."
            if ours == theirs
            else f"{winner} has the better best trial: {key} {ours:.4g} in A, {theirs:.4g} in B."
        )
    for letter, one, found in zip("AB", (a, b), values, strict=True):
        said = f"{letter}, {one.book.spec.name}: {len(found)} of {len(one.book.finished())} ended trials were completed"
        best = (
            f"; the best is trial {one.completed[0].number} with {found[0]:.4g}, their median {median(found):.4g}"
            if found
            else ""
        )
        part.words.append(f"{said}{best}.")
    part.words.append(
        "Each is the best of many, trained once: the sweep with more trials had more chances, and neither says how far luck "
        "went. Samplers learn, so the clouds of values say how a search went, not which settings are better."
    )
    part.words += _incomparable(a, b)
    part.words += [
        f"{one.book.spec.name}: what only MLflow knows is left out, {one.missing}." for one in (a, b) if one.missing
    ]
    every = [value for found in values for value in found]
    if every:
        points = {
            f"{letter}: {one.book.spec.name}": sorted((trial.number, trial.values[0]) for trial in one.completed)
            for letter, one in zip("AB", (a, b), strict=True)
        }
        drawn = figures_report.side_by_side(points, key, sign, spans_decades(every))
        part.figures.append(figure(drawn, "Left: the best value so far. Right: all completed trials."))
    return part


def _incomparable(a: SweepData, b: SweepData) -> list[str]:
    """Why the two may not be compared at all."""
    said = []
    if a.book.spec.data_digest != b.book.spec.data_digest:
        said.append(
            f"They are on different data, {a.book.spec.data} and {b.book.spec.data}: their scores do not compare."
        )
    judges = [{found for trial in one.completed[:1] if (found := one.tags(trial).get(JUDGE))} for one in (a, b)]
    if all(judges) and judges[0] != judges[1]:
        said.append("Different judges scored them: their scores do not compare.")
    return said


def _differences(a: Book, b: Book) -> Part:
    facts = {
        name: [str(getattr(one.spec, name)) for one in (a, b)]
        for name in ("study", "data", "sampler", "pruner", "seed")
    }
    facts |= {"trials": [str(one.total()) for one in (a, b)], "version": [one.spec.version for one in (a, b)]}
    facts |= {name: [_said(one, name) for one in (a, b)] for name in dict.fromkeys([*a.spec.base, *b.spec.base])}
    rows = [[name, *said] for name, said in facts.items() if said[0] != said[1]]
    words = [] if rows else ["Both were asked for the same; what differs is chance, and how many workers there were."]
    return Part("What differs", words, tables=[Table(["", "A", "B"], rows)] if rows else [])


def _said(book: Book, name: str) -> str:
    """What a sweep says of a setting: its value, or where it was searched."""
    space = book.spec.parameters()
    return f"searched: {space[name]}" if name in space else short(book.spec.base.get(name, "absent"))


def _best(a: SweepData, b: SweepData) -> Part:
    part, key = Part("The best trials"), a.book.spec.objectives[0][0]
    best = {letter: (one, one.completed[0]) for letter, one in zip("AB", (a, b), strict=True) if one.completed}
    for letter, (one, trial) in best.items():
        if png := one.samples(trial):
            part.samples.append(picture(png, f"{letter}: trial {trial.number}, {key} {trial.values[0]:.4g}"))
    searched = dict.fromkeys(name for _, trial in best.values() for name in trial.params)
    had = [{**one.book.spec.base_of(trial.number), **trial.params} for one, trial in best.values()]
    rows = [[name, *(short(one.get(name, "")) for one in had)] for name in searched]
    finals = [one.finals(trial) for one, trial in best.values()]
    shared = set.intersection(*map(set, finals)) if finals else set()
    scores = [
        [name, *(f"{one[name]:.4g}" for one in finals)] for name in sorted(shared) if not name.startswith("seconds/")
    ]
    part.tables = [Table(["setting", *best], rows)] if rows else []
    part.tables += [Table(["at the end", *best], scores)] if scores else []
    return part


def _ends(a: SweepData, b: SweepData) -> Part:
    ended = [one.book.finished() for one in (a, b)]
    rows = []
    for name in OUTCOMES:
        counts = [sum(trial.outcome == name for trial in trials) for trials in ended]
        rows += [[name.replace("_", " "), *map(str, counts)]] if any(counts) else []
    spent = [cost(one, trials) for one, trials in zip((a, b), ended, strict=True)]
    rows += [list(row) for row in zip(COSTS, *spent, strict=True)]
    return Part("What became of the trials, and what it cost", tables=[Table(["", "A", "B"], rows)])
