"""What the tests of repairs share."""

from pathlib import Path

import pytest

from orchestrator import layout
from orchestrator.supervisor import queue
from tests.support.clinic import Clinic


@pytest.fixture
def clinic(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """See Clinic."""
    monkeypatch.setattr(queue, "EVICT_SECONDS", 0.3)
    return Clinic(folder, monkeypatch)


@pytest.fixture
def left(clinic: Clinic) -> int:
    """A sweep that was interrupted: the number of the trial that waits."""
    clinic.run(asked=12)
    (trial,) = clinic.book.trials_running()
    assert trial.number > 0 and (clinic.at(trial.number) / layout.CHECKPOINT).exists()
    return trial.number
