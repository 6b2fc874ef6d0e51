"""What tests of trainers share."""

from pathlib import Path

import pytest

from models.env import Env


@pytest.fixture
def env(cache_folder: Path) -> Env:
    """A trial on the digits."""
    return Env("digits", seed=3, cache_folder=cache_folder)
