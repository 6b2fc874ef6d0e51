"""The report of a sweep: one page that answers its question, and shows by what."""

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from orchestrator.analysis import judges
from orchestrator.reports import comparison, findings
from orchestrator.reports.html import Part, Shown, Table, figure, picture, render
from orchestrator.reports.sweep_data import SweepData
from orchestrator.search.book import Book
from orchestrator.search.trials import OUTCOMES, Trial
from orchestrator.supervisor import lease
from orchestrator.text import clock, short
from studies.parts.study import named

if TYPE_CHECKING:
    from orchestrator.figures.canvas import Drawing
    from orchestrator.figures.catalogue import ReportPart

WIDE = 720  # pixels of a picture that has letters
LOOKS = 6  # pictures of how samples came about
EVALUATIONS = "network_evaluations"  # ends the names of what counts them


def write(book: Book) -> str:
    """The page of one sweep, as HTML."""
    data = SweepData(book)
    if book.spec.comparison:
        parts = [*comparison.parts(data), samples(data)]
    else:
        parts = [_answer(data), _history(data), _mattered(data), samples(data)]
    parts += [_evolution(data), *_sections(data), _failures(data), _cost(data), again(data), _trials(book)]
    if book.spec.caution:
        parts[0].paragraphs.insert(1, f"{book.spec.caution}.")
    if split := judges.disagreement(book, data.all_tags):
        parts[0].paragraphs.insert(1, f"{split}.")
    if data.missing:
        parts[0].paragraphs.append(f"What only MLflow knows is left out of this report: {data.missing}.")
    return render(book.spec.name, book.spec.question, about(book), parts)


def about(book: Book) -> str:
    """The sweep in a line."""
    spec, done = book.spec, book.finished()
    begun = min((trial.began for trial in done if trial.began), default=None)
    size = "×".join(map(str, spec.image_shape))
    text = f"study {spec.study} · data {spec.data} ({size}) · {len(done)} of {book.total()} trials ended · seed {spec.seed}"
    return f"{text} · begun {begun:%Y-%m-%d %H:%M}" if begun else text


def _answer(data: SweepData) -> Part:
    book, best, part = data.book, data.typical.get("best"), Part("The answer")
    part.paragraphs = findings.answer(book, data.finals(best) if best else {})
    if best is None:
        return part
    space = book.spec.parameters()
    rows = [[name, short(value), str(space[name]) if name in space else ""] for name, value in best.params.items()]
    if rows:
        part.tables.append(Table(["parameter", f"trial {best.number}", "searched"], rows, "The best configuration."))
    part.figures = _figures(data, "answer")
    part.paragraphs += findings.certainty(book)
    if command := findings.surer(book, data.shares):
        part.commands.append(f"# more than luck? the best and the next trial, each with several seeds\n{command}")
    return part


def _figures(data: SweepData, part: "ReportPart") -> list[Shown]:
    """The figures of a part of the report with their captions, as far as the sweep has them."""
    from orchestrator.figures import catalogue

    names = [name for name, entry in catalogue.FIGURES.items() if entry.part == part]
    drawings = catalogue.draw(data.subject, names)
    return [figure(drawing, catalogue.FIGURES[name].caption) for name, drawing in drawings.items()]


def _history(data: SweepData) -> Part:
    return Part("How the search went", figures=_figures(data, "search"))


def _mattered(data: SweepData) -> Part:
    part = Part("What mattered", findings.mattered(data.book, data.shares))
    if interaction := _interaction(data):
        from orchestrator.figures import catalogue

        part.figures.append(figure(interaction, catalogue.FIGURES["heat_map"].caption))
    part.figures += _figures(data, "parameters")
    return part


def _interaction(data: SweepData) -> "Drawing | None":
    """Where the study names no settings for a heat map: one of the two numbers that matter most."""
    from orchestrator.figures import catalogue, tradeoff

    spec = data.book.spec
    numbers = [name for name in data.shares if not spec.parameters()[name].choices]
    if len(numbers) < 2 or catalogue.draw(data.subject, ["heat_map"]):
        return None
    return tradeoff.heat_map(data.completed, spec.objectives[0][0], spec.signs[0], (numbers[0], numbers[1], None))


def samples(data: SweepData) -> Part:
    """Best, median and worst trial beside each other."""
    part, key = Part("Samples"), data.book.spec.objectives[0][0]
    for name, trial in data.typical.items():
        if png := data.samples(trial):
            part.samples.append(picture(png, f"{name}: trial {trial.number}, {key} {trial.values[0]:.4g}"))
    if part.samples:
        part.paragraphs = [
            "The same picture of three trials. A score that is good with pictures that are not is a reason to doubt it."
        ]
    return part


def _evolution(data: SweepData) -> Part:
    part, best = Part("How samples came about"), data.typical.get("best")
    if best is None or data.study is None:
        return part
    steps = data.pictures(best).get(data.study.pictures, {})
    order = sorted(steps)
    if len(order) < 2:
        return part
    chosen = sorted({order[round(i * (len(order) - 1) / (LOOKS - 1))] for i in range(LOOKS)})
    part.paragraphs = [
        f"The best trial, {best.number}, over its training: {data.study.pictures} at {len(chosen)} of {len(order)} looks."
    ]
    part.samples = [picture(png, f"step {step:,}") for step in chosen if (png := data.picture(best, steps[step]))]
    return part


def _sections(data: SweepData) -> list[Part]:
    """What the study says belongs to its report: the best trial's pictures, the numbers of best, median and worst."""
    if not data.typical:
        return []
    best = data.typical["best"]
    pictures, parts = data.pictures(best), []
    for section in data.sections:
        part = Part(section.title)
        for key in section.pictures:
            if steps := pictures.get(key):
                png = data.picture(best, steps[max(steps)])
                part.pictures += [picture(png, f"{key}, trial {best.number}", WIDE)] if png else []
        rows = numbers(data, section.numbers)
        if rows:
            head = ["", *(f"{name}: trial {trial.number}" for name, trial in data.typical.items())]
            part.tables.append(Table(head, rows))
        if part:
            part.paragraphs = [section.text]
            parts.append(part)
    return parts


def numbers(data: SweepData, keys: Sequence[str]) -> list[list[str]]:
    """Rows of the metrics that ``keys`` name, in their order: one a metric, a column for best, median and worst."""
    finals = [data.finals(trial) for trial in data.typical.values()]
    there = {name for values in finals for name in values}
    return [
        [name, *(f"{values[name]:.4g}" if name in values else "" for values in finals)] for name in named(keys, there)
    ]


def _failures(data: SweepData) -> Part:
    book = data.book
    part = Part("What failed, and why", findings.failures(book), figures=_figures(data, "endings"))
    rows = []
    for trial in book.finished():
        if trial.outcome not in ("complete", "pruned"):
            detail = trial.detail.strip().splitlines()[-1:]
            rows.append([str(trial.number), trial.outcome, trial.reason.strip(), *(detail or [""])])
    if rows:
        part.tables.append(Table(["trial", "outcome", "reason", "detail"], rows))
    return part


def _cost(data: SweepData) -> Part:
    book, part = data.book, Part("What it cost")
    by_outcome = {name: [trial for trial in book.finished() if trial.outcome == name] for name in OUTCOMES}
    groups = {name.replace("_", " "): those for name, those in by_outcome.items() if those}
    rows = [[name, *cost(data, those)] for name, those in (groups | {"all": book.finished()}).items()]
    if groups:
        caption = "Time is of workers, which may have run side by side; hours:minutes:seconds."
        part.tables = [Table(["outcome", "trials", "time of all", "median", "network evaluations"], rows, caption)]
    tagged = [tags for trial in book.finished() if "host" in (tags := data.tags(trial))]
    machines = sorted({f"{tags['host']}, {tags.get('device', '')}" for tags in tagged})
    part.paragraphs = [f"Trials ran on {'; '.join(machines)}."] if machines else []
    return part


def cost(data: SweepData, trials: Sequence[Trial]) -> list[str]:
    """Of some trials: how many, their time in all, the median of it, and evaluations of their networks where counted."""
    seconds = [trial.seconds or 0.0 for trial in trials]
    spent = [count for trial in trials if (count := evaluated(data, trial)) is not None]
    return [str(len(trials)), clock(sum(seconds)), clock(median(seconds or [0])), f"{sum(spent):,.0f}" if spent else ""]


def evaluated(data: SweepData, trial: Trial) -> float | None:
    """How often a trial evaluated its network, where it counted that."""
    counts = [value for name, value in data.finals(trial).items() if name.rpartition("/")[2] == EVALUATIONS]
    return max(counts, default=None)


def again(data: SweepData) -> Part:
    """Everything needed to run it again."""
    book = data.book
    spec = book.spec
    facts = {
        "study": spec.study,
        "objectives": ", ".join(f"{direction} {key}" for key, direction in spec.objectives),
        "data": f"{spec.data}, digest {spec.data_digest[:12]}",
        "sampler, pruner, seed": f"{spec.history_text('sampler')}; {spec.history_text('pruner')}; {spec.seed}",
        "deterministic": "yes" if spec.deterministic else "no",
        "version": spec.version,
        "MLflow": f"{spec.tracking_uri}, run {spec.run}",
    }
    noted = data.tags(data.typical["best"]) if data.typical else {}
    facts |= {
        name: value for name, value in sorted(noted.items()) if "/" in name
    }  # what trainers note, such as the judge
    part = Part("Run it again", commands=findings.again(book))
    part.tables = [
        Table(["", ""], [[name, value] for name, value in facts.items()], "The sweep."),
        Table(
            ["setting", "value"],
            [[name, short(value)] for name, value in spec.shared.items()],
            "Settings that all trials share.",
        ),
        Table(
            ["parameter", "searched"],
            [[name, str(parameter)] for name, parameter in spec.parameters().items()],
            "The search space.",
        ),
    ]
    return part


def _trials(book: Book) -> Part:
    goals = [key for key, _ in book.spec.objectives]
    names = [name for name in book.spec.space if any(name in trial.params for trial in book.trials())]
    rows, driver = [], lease.present(book)
    for trial in book.trials():
        values = [f"{value:.4g}" for value in trial.values]
        values += [""] * (len(goals) - len(values))
        settings = [short(trial.params[name]) if name in trial.params else "" for name in names]
        rows.append([str(trial.number), lease.outcome(driver, trial), *values, clock(trial.seconds), *settings])
    return Part("All trials", tables=[Table(["trial", "outcome", *goals, "time", *names], rows)] if rows else [])
