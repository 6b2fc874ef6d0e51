"""Trials that are started and heard, whatever launcher plays them."""

import time
from typing import Any

from orchestrator.launchers.protocol import Job, Launcher
from orchestrator.messages import Ended, Message, Report
from tests.support.processes import LIMIT


def hear_all(launcher: Launcher, job: Job, reply: Any = lambda report: "go") -> list[Message]:
    """All that the trial says to its end; ``reply`` answers its reports."""
    said: list[Message] = []
    end = time.monotonic() + LIMIT
    while not said or not isinstance(said[-1], Ended):
        assert time.monotonic() < end
        launcher.wait([job], 1.0)
        for message in job.hear():
            said.append(message)
            if isinstance(message, Report):
                job.reply(reply(message))
    return said
