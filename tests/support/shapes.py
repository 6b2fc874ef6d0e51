"""What tests give to a study: shapes of examples of its kind of data, and data of that kind that need no download."""

from pathlib import Path
from typing import Any

from models.data import kinds
from studies import Study

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "images": {"8x8": (1, 8, 8), "28x28": (1, 28, 28), "32x32 in colour": (3, 32, 32)},
    "clouds": {"2048 points": (2048, 3), "1024 points": (1024, 3)},
}


def shapes(study: Study[Any, Any]) -> dict[str, tuple[int, ...]]:
    """Of examples, by what they are called."""
    return SHAPES[study.data_kind]


def embedded(study: Study[Any, Any]) -> str:
    """Data that the study reads and that are here: the digits for images."""
    return "digits" if study.data_kind == "images" else study.data


def shape(study: Study[Any, Any]) -> Any:
    """Of an example of these."""
    return kinds.reader(embedded(study), Path("data"), study.data_kind).shape
