"""What a notebook shows of a trial."""

import html
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

from orchestrator.reports import html as page


@dataclass(frozen=True)
class Trial:
    """A completed trial: what was set, what came of it, and its last samples."""

    number: int
    values: dict[str, float]  # of the objectives
    settings: dict[str, Any]  # that were searched
    config: dict[str, Any]  # all of them
    seconds: float
    run: str  # in MLflow; "" where none is known
    samples: Image.Image | None

    @property
    def value(self) -> float:
        """Of the first objective."""
        return next(iter(self.values.values()))

    def _repr_html_(self) -> str:
        pairs = "".join(
            f"<tr><td>{text(name)}</td><td>{text(value)}</td></tr>" for name, value in self.settings.items()
        )
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.values.items())
        picture = "" if self.samples is None else inline(self.samples)
        return f"<b>trial {self.number}</b>: {text(values)}<table>{pairs}</table>{picture}"


def text(value: Any) -> str:
    """A value inside HTML."""
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def inline(image: Image.Image) -> str:
    """A picture inside HTML."""
    buffer = BytesIO()
    image.save(buffer, "png")
    return f'<img alt="samples" style="max-width: 24em" src="{page.picture(buffer.getvalue(), "").source}">'
