"""The report of two sweeps, side by side."""

from statistics import median

from orchestrator.analysis.judges import JUDGE
from orchestrator.analysis.scale import spans_decades
from orchestrator.errors import UserError
from orchestrator.reports.html import Part, Table, figure, picture, render
from orchestrator.reports.sweep import about, again, cost
from orchestrator.reports.sweep_data import SweepData
from orchestrator.search.book import Book
from orchestrator.search.trials import OUTCOMES
from orchestrator.text import short

COSTS = ("trials", "time of all", "median", "network evaluations")


def write(first: Book, second: Book) -> str:
    """The page, as HTML; UserError where the two cannot be put side by side."""
    names = first.spec.name, second.spec.name
    if names[0] == names[1]:
        raise UserError(f"{names[0]} is one sweep; name two, or leave the second one out")
    goals = [book.spec.objectives[0] for book in (first, second)]
    if goals[0] != goals[1]:
        objectives = " and ".join(f"{direction} {key}" for key, direction in goals)
        raise UserError(f"{names[0]} and {names[1]} are after different things ({objectives}); make a report of each")
    both = SweepData(first), SweepData(second)
    parts = [_answer(*both), _differences(first, second), _best(*both), _ends(*both)]
    for letter, data in zip("AB", both, strict=True):
        part = again(data)
        part.title = f"Run {letter} again"
        parts.append(part)
    question = first.spec.question if first.spec.question == second.spec.question else "Two questions, one objective."
    return render(f"{names[0]} and {names[1]}", question, f"A: {about(first)}  ·  B: {about(second)}", parts)


def _answer(a: SweepData, b: SweepData) -> Part:
    part, key, sign = Part("The answer"), a.book.spec.objectives[0][0], a.book.spec.signs[0]
    values = [[trial.values[0] for trial in data.completed] for data in (a, b)]
    if all(values):
        ours, theirs = values[0][0], values[1][0]
        winner = "A" if sign * ours < sign * theirs else "B"
        part.paragraphs.append(
            f"Both best trials have {key} {ours:.4g}."
            if ours == theirs
            else f"{winner} has the better best trial: {key} {ours:.4g} in A, {theirs:.4g} in B."
        )
    for letter, data, scores in zip("AB", (a, b), values, strict=True):
        text = (
            f"{letter}, {data.book.spec.name}: {len(scores)} of {len(data.book.finished())} ended trials were completed"
        )
        best = (
            f"; the best is trial {data.completed[0].number} with {scores[0]:.4g}, their median {median(scores):.4g}"
            if scores
            else ""
        )
        part.paragraphs.append(f"{text}{best}.")
        if data.book.spec.caution:
            part.paragraphs.append(f"{letter}: {data.book.spec.caution}.")
    part.paragraphs.append(
        "Each is the best of many, trained once: the sweep with more trials had more chances, and neither says how far luck "
        "went. Samplers learn, so the clouds of values say how a search went, not which settings are better."
    )
    part.paragraphs += _incomparable(a, b)
    part.paragraphs += [
        f"{data.book.spec.name}: what only MLflow knows is left out, {data.missing}." for data in (a, b) if data.missing
    ]
    every = [value for scores in values for value in scores]
    if every:
        points = {
            f"{letter}: {data.book.spec.name}": sorted((trial.number, trial.values[0]) for trial in data.completed)
            for letter, data in zip("AB", (a, b), strict=True)
        }
        from orchestrator.figures import timeline

        drawn = timeline.side_by_side(points, key, sign, spans_decades(every))
        part.figures.append(figure(drawn, "Left: the best value so far. Right: all completed trials."))
    return part


def _incomparable(a: SweepData, b: SweepData) -> list[str]:
    """Why the two may not be compared at all."""
    reasons = []
    if a.book.spec.data_digest != b.book.spec.data_digest:
        reasons.append(
            f"They are on different data, {a.book.spec.data} and {b.book.spec.data}: their scores do not compare."
        )
    judges = [{judge for trial in data.completed[:1] if (judge := data.tags(trial).get(JUDGE))} for data in (a, b)]
    if all(judges) and judges[0] != judges[1]:
        reasons.append("Different judges scored them: their scores do not compare.")
    return reasons


def _differences(a: Book, b: Book) -> Part:
    facts = {
        "study": [book.spec.study for book in (a, b)],
        "data": [book.spec.data for book in (a, b)],
        "sampler": [book.spec.history_text("sampler") for book in (a, b)],
        "pruner": [book.spec.history_text("pruner") for book in (a, b)],
        "seed": [str(book.spec.seed) for book in (a, b)],
    }
    facts |= {"trials": [str(book.total()) for book in (a, b)], "version": [book.spec.version for book in (a, b)]}
    facts |= {
        name: [_setting_text(book, name) for book in (a, b)] for name in dict.fromkeys([*a.spec.base, *b.spec.base])
    }
    rows = [[name, *values] for name, values in facts.items() if values[0] != values[1]]
    paragraphs = (
        [] if rows else ["Both were asked for the same; what differs is chance, and how many workers there were."]
    )
    return Part("What differs", paragraphs, tables=[Table(["", "A", "B"], rows)] if rows else [])


def _setting_text(book: Book, name: str) -> str:
    """The text for a setting of a sweep: its value, or where it was searched."""
    space = book.spec.parameters()
    return f"searched: {space[name]}" if name in space else short(book.spec.shared.get(name, "absent"))


def _best(a: SweepData, b: SweepData) -> Part:
    part, key = Part("The best trials"), a.book.spec.objectives[0][0]
    best = {letter: (data, data.completed[0]) for letter, data in zip("AB", (a, b), strict=True) if data.completed}
    for letter, (data, trial) in best.items():
        if png := data.samples(trial):
            part.samples.append(picture(png, f"{letter}: trial {trial.number}, {key} {trial.values[0]:.4g}"))
    searched = dict.fromkeys(name for _, trial in best.values() for name in trial.params)
    all_settings = [{**data.book.spec.base_of(trial.number), **trial.params} for data, trial in best.values()]
    rows = [[name, *(short(settings.get(name, "")) for settings in all_settings)] for name in searched]
    finals = [data.finals(trial) for data, trial in best.values()]
    shared = set.intersection(*map(set, finals)) if finals else set()
    scores = [
        [name, *(f"{metrics[name]:.4g}" for metrics in finals)]
        for name in sorted(shared)
        if not name.startswith("seconds/")
    ]
    part.tables = [Table(["setting", *best], rows)] if rows else []
    part.tables += [Table(["at the end", *best], scores)] if scores else []
    return part


def _ends(a: SweepData, b: SweepData) -> Part:
    ended = [data.book.finished() for data in (a, b)]
    rows = []
    for name in OUTCOMES:
        counts = [sum(trial.outcome == name for trial in trials) for trials in ended]
        rows += [[name.replace("_", " "), *map(str, counts)]] if any(counts) else []
    spent = [cost(data, trials) for data, trials in zip((a, b), ended, strict=True)]
    rows += [list(row) for row in zip(COSTS, *spent, strict=True)]
    return Part("What became of the trials, and what it cost", tables=[Table(["", "A", "B"], rows)])
