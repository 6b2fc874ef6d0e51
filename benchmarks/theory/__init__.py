"""What theory says of generative models, measured where the exact answer is known: figures, and docs/theory.md's pictures."""

from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks._figure import Figure

DOCS = Path(__file__).parents[2] / "docs"


def measure(quick: bool = False, folder: Path | None = None) -> Iterator[Figure]:
    """Each part's figures, on one thread; its picture goes into ``folder``, or into docs/."""
    from benchmarks.theory import bounds, denoising, discriminator, evidence, frechet, slopes, supports

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = folder or DOCS
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for part in (discriminator, bounds, slopes, supports, evidence, denoising, frechet):
            yield from part.measure(quick, folder)
    finally:
        torch.set_num_threads(before)
