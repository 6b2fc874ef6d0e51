"""A picture of what is read of a data set: ``python -m models.data folder:PATH:size=28:invert:binary preview.png``."""

import sys
from pathlib import Path

import numpy as np

from models.data.dataset import DataError
from models.data.kinds import load

ACROSS = 16  # images in a row; a row for each class
GAP = 2  # pixels between images


def main(spec: str, file: str, folder: str = "data") -> str:
    """Write the first training images of each class, a row each, into ``file``; what to print of them. Raises DataError."""
    from PIL import Image

    data = load(spec, Path(folder), "images")
    channels, height, width = data.shape
    rows = len(data.classes)
    picture = np.full((rows * (height + GAP), ACROSS * (width + GAP), channels), 128, np.uint8)
    images, labels = data.train.images.numpy(), data.train.labels.numpy()
    for row in range(rows):
        for column, image in enumerate(images[labels == row][:ACROSS]):
            top, left = row * (height + GAP), column * (width + GAP)
            picture[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    unfinished = Path(f"{file}.part")  # a full disk leaves a picture that was there before
    Image.fromarray(picture.squeeze()).save(unfinished, Image.registered_extensions()[Path(file).suffix.lower()])
    unfinished.replace(file)
    sizes = ", ".join(f"{count} {split}" for split, count in data.sizes.items())
    return f"{file}: {', '.join(data.classes)}, a row each; {height}×{width} pixels; {sizes} images"


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]))
    except KeyError as error:
        sys.exit(f"the picture's name ends in .png or another format of pictures, not in {error}\n{__doc__}")
    except (DataError, TypeError, OSError) as error:
        sys.exit(f"{error}\n{__doc__}")
