"""What tests share: quiet threads, and one folder for the judge of the digits, which is trained once a session."""

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
pytest_plugins = ["tests.servers"]


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where judges are kept during the session."""
    return tmp_path_factory.mktemp("cache")
