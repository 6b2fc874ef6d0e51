"""A page of a report: what is said, in parts, and the one file that is made of it."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from io import BytesIO
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

if TYPE_CHECKING:
    from orchestrator.figures.canvas import Drawing

WIDEST = 560  # pixels of samples; more would not be seen on paper
UNBROKEN = 14  # letters of a cell that fit beside others
HEAVY = 120_000  # bytes: beyond, a coloured picture makes do with 256 colours of its own


@dataclass(frozen=True)
class Shown:
    """A picture, as a data address, with the caption below it."""

    source: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows below a head; columns of numbers stand at the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def short(self, column: int) -> bool:
        """Whether no cell of a column need ever be broken."""
        return all(len(row[column]) <= UNBROKEN for row in self.rows)

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers alone, and at least one."""
        cells = [row[column] for row in self.rows if row[column]]
        return bool(cells) and all(re.fullmatch(r"[-−+<]?[\d.,:e+−-]+ ?%?", cell) for cell in cells)


@dataclass
class Part:
    """A section of a page, in the order in which its parts are read."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    samples: list[Shown] = field(default_factory=list)  # beside each other, as many as fit
    figures: list[Shown] = field(default_factory=list)  # below each other
    pictures: list[Shown] = field(default_factory=list)  # two beside each other
    tables: list[Table] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.paragraphs, self.samples, self.figures, self.pictures, self.tables, self.commands))


def figure(drawing: "Drawing", caption: str) -> Shown:
    """A figure as SVG."""
    from orchestrator.figures.canvas import svg

    return Shown(f"data:image/svg+xml;base64,{base64.b64encode(svg(drawing)).decode()}", caption)


def picture(png: bytes, caption: str, widest: int = WIDEST) -> Shown:
    """A PNG picture as small as can be: no wider than so many pixels, one channel where it is grey."""
    with Image.open(BytesIO(png)) as opened:
        image = opened.convert("RGB")
    red, green, blue = image.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    if image.width > widest:
        image = image.resize((widest, round(image.height * widest / image.width)), Image.Resampling.BOX)
    small = _png(image.convert("L") if grey else image)
    if len(small) > HEAVY and not grey:
        small = _png(image.quantize(256))
    return Shown(f"data:image/png;base64,{base64.b64encode(small).decode()}", caption)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def render(title: str, question: str, about: str, parts: Sequence[Part]) -> str:
    """The page: it needs nothing from elsewhere, and runs nothing."""
    loader = PackageLoader("orchestrator.reports", "templates")
    templates = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    there = [part for part in parts if part]
    made = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    return templates.get_template("page.html").render(
        title=title, question=question, about=about, parts=there, made=made
    )
