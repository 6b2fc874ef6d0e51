"""Where a trainer runs: device, seed, data and a folder for what is made once and kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # commands that train nothing do not wait for torch
    from torch import Generator


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**63) that is a function of ``parts`` alone, the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Env:
    """Everything that a trainer needs and that is no hyperparameter."""

    data: str  # a data set as the user names it: digits, mnist, npz:FILE …
    seed: int = 0
    device: str = "cpu"
    data_folder: Path = Path("data")  # where downloads are put and looked for
    cache_folder: Path = Path(".sweeps/cache")  # networks that are trained once, such as the judge

    def generator(self, salt: str) -> Generator:
        """A random generator on the device, its own for each ``salt``."""
        import torch

        return torch.Generator(self.device).manual_seed(derive_seed(self.seed, salt))
