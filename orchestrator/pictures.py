"""PNG files as they are found on disk or in a tracker: whole ones, or none."""

from io import BytesIO
from pathlib import Path

from PIL import Image


def whole(content: bytes) -> bool:
    """Whether these bytes are a picture that can be drawn."""
    try:
        with Image.open(BytesIO(content)) as picture:
            picture.load()
    except Exception:  # a file that was cut fails in as many ways as there are places to cut it
        return False
    return True


def load(path: Path) -> bytes | None:
    """The content of a PNG file; None where there is none that can be drawn."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if whole(content) else None
