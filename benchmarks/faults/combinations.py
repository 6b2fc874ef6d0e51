"""Every sampler and pruner with every study of the catalogue, for eight trials without training.

A combination survives if it is refused before anything starts, or ends with all of its trials told. ``count`` is the number
of studies; None stands for all.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import studies
from benchmarks._figure import empty_folder
from benchmarks.faults.row import Row
from tests.support import combinations


def measure(count: int | None = None) -> Iterator[Row]:
    """One row: how many were tried, and how many of those were refused."""
    tried = survived = refused = 0
    here = Path.cwd()
    with empty_folder() as folder:
        os.chdir(folder)
        storage = combinations.storage()
        for study in studies.names()[:count]:
            for played in combinations.play(study, storage):
                tried += 1
                refused += played.book is None
                survived += played.book is None or len(played.book.finished()) == combinations.TRIALS
        os.chdir(here)
    fault = f"every sampler and pruner with every study, 8 trials each ({refused} refused before anything starts)"
    yield Row(fault, tried, survived, "nothing" if survived == tried else f"{tried - survived} sweeps")
