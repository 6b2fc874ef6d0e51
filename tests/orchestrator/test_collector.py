"""A command looks for garbage rarely while it starts; a notebook keeps the thresholds that it has set."""

import gc
from collections.abc import Iterator

import pytest

from orchestrator import collector


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    """Put the test process's own thresholds back."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_command_gets_back_what_was_set_before_it_started() -> None:
    gc.set_threshold(123, 4, 5)
    collector.rarely()
    assert gc.get_threshold() == (collector.RARELY, 4, 5)
    collector.usually()
    assert gc.get_threshold() == (123, 4, 5) and gc.get_freeze_count() > 0


def test_a_notebook_keeps_its_own_thresholds_and_its_objects() -> None:
    gc.set_threshold(0)
    frozen = gc.get_freeze_count()
    collector.usually()
    assert gc.get_threshold()[0] == 0 and gc.get_freeze_count() == frozen
