"""One trial in the terminal, whole: what came of it, how it went, its settings, and its samples where they can be drawn."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from PIL import Image
from rich.color import Color
from rich.console import Console, Group
from rich.style import Style
from rich.text import Text

from orchestrator import pictures, text
from orchestrator.errors import UserError
from orchestrator.layout import SAMPLES, trial_folder
from orchestrator.search.book import Book
from orchestrator.search.trials import Stay, Trial, run_of
from orchestrator.supervisor import lease
from orchestrator.supervisor.status import WAIT_SECONDS
from orchestrator.terminal import tables

UPPER_HALF = "▀"  # its colour is one pixel, its background the one below


def find(book: Book, number: int) -> Trial:
    """The trial of that number; UserError where there is none."""
    trials = book.trials()
    if number >= len(trials):
        raise UserError(f"sweep '{book.spec.name}' has no trial {number}; it has {len(trials)}, counted from 0")
    return trials[number]


def view(book: Book, number: int, console: Console) -> Group:
    """See above; samples are drawn where the terminal has colours."""
    spec, trial = book.spec, find(book, number)
    ranks = {better.number: rank for rank, better in enumerate(book.best(len(book.trials())), 1)}
    values = zip(spec.objectives, trial.latest, strict=False)
    rows: dict[str, Any] = {key: text.short(value) for (key, _), value in values}
    if number in ranks:
        rows["rank"] = f"{ranks[number]} of {len(ranks)} complete trials, by {spec.objectives[0][0]}"
    if len(course := trial.course) > 1:
        rows["course"] = f"{text.sparkline(course, 40)}  {text.short(course[0])} to {text.short(course[-1])}"
    rows |= {
        "time": text.clock(trial.seconds),
        "memory": f"{text.gigabytes(trial.memory)} at most" if trial.memory else "",
        "deaths": "; ".join(f"at step {death.at}: {death.how}" for death in trial.deaths),
        "places": "; ".join(map(_stay, trial.stays)),
        "MLflow run": run_of(spec, trial),
        "files": str(trial_folder(spec.folder, number)),
    }
    outcome = lease.outcome(lease.present(book), trial)
    head = Text.assemble((f"trial {number}", "bold"), f" of {spec.name}: ", (outcome, tables.STYLES.get(outcome, "")))
    parts: list[Any] = [head, tables.pairs({name: value for name, value in rows.items() if value})]
    parts += [Text(spec.caution, "yellow")] if spec.caution else []
    if trial.reason:
        parts.append(Text(f"{trial.reason}\n{trial.detail}".strip(), "red"))
    fixed = {name: value for name, value in spec.base_of(number).items() if name not in trial.params}
    parts += [
        Text("searched:"),
        tables.pairs(trial.params),
        Text("as in every trial:"),
        Text(f"  {text.settings_line(fixed)}"),
    ]
    samples = trial_folder(spec.folder, number) / SAMPLES
    content = pictures.load(samples)
    if content and console.is_terminal and console.color_system in ("256", "truecolor"):
        parts.append(picture(content, min(console.width, 100)))
    elif samples.exists():
        damaged = "" if content else " (damaged; `sweep doctor --repair` mends it)"
        parts.append(Text(f"samples: {samples}{damaged}"))
    return Group(*parts)


def _stay(stay: Stay) -> str:
    """Where and how long one of its workers was."""
    waited = f", after {text.clock(stay.waited)} of waiting" if stay.waited >= WAIT_SECONDS else ""
    return f"{stay.where} for {text.clock(stay.ended - stay.began)}{waited}"


def picture(content: bytes, columns: int) -> Text:
    """A picture in ``columns`` of letters at most, two pixels a letter, one above the other."""
    with Image.open(BytesIO(content)) as file:
        image = file.convert("RGB")
    width = min(columns, image.width)
    image = image.resize((width, max(2, round(image.height * width / image.width / 2) * 2)), Image.Resampling.BOX)
    pixels: Any = image.load()
    drawn = Text(no_wrap=True, end="")
    for y in range(0, image.height, 2):
        for x in range(width):
            drawn.append(UPPER_HALF, _style(pixels[x, y], pixels[x, y + 1]))
        drawn.append("\n")
    return drawn


def _style(above: Sequence[int], below: Sequence[int]) -> Style:
    return Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
