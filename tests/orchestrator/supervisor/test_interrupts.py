"""A terminal that is closed is noticed where something is printed, before its signal is heard."""

import errno
import os
import pty
from collections.abc import Iterator

import pytest

from orchestrator.supervisor import interrupts
from orchestrator.supervisor.interrupts import InterruptWatcher

CLOSED = "its terminal was closed (SIGHUP)"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Its own end, and ours, which counts as our output."""
    far, near = pty.openpty()
    monkeypatch.setattr(interrupts, "OUTPUTS", (near,))
    yield far, near
    os.close(near)


def test_printing_to_a_terminal_that_is_closed_ends_the_sweep_in_order(terminal: tuple[int, int]) -> None:
    far, near = terminal
    halt = InterruptWatcher()
    with halt.printing():
        os.write(near, b"a line\n")
    assert halt() == ""
    os.close(far)
    with halt.printing():
        os.write(near, b"a line\n")
    assert halt() == CLOSED
    os.write(near, b"what is printed now goes nowhere\n")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no room"), OSError(errno.EIO, "a broken disk")])
def test_other_failures_of_printing_are_raised(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "OUTPUTS", ())
    halt = InterruptWatcher()
    with pytest.raises(OSError) as raised, halt.printing():
        raise error
    assert raised.value is error and halt() == ""
