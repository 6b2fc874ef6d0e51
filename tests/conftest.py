"""What tests share: quiet threads, and one folder for the judge of the digits, which is trained once a session."""

import os
import signal
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
if (
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN
):  # in the background of a script: processes of tests would not hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
pytest_plugins = ["tests.support.servers"]


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where judges are kept during the session; workers of pytest-xdist share it, and wait for each other's."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    (folder / "cache").mkdir(exist_ok=True)
    return folder / "cache"
