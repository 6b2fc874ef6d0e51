"""What the events of a trainer promise: finite steps that go forward, images in range, progress to its end."""

import math
from collections.abc import Sequence

from models.events import Checkpoint, Event, Images, Progress, Scalars


def check(events: Sequence[Event]) -> None:
    """Fail where one of all events of a trial breaks a promise."""
    last = max(event.step for event in events if isinstance(event, Checkpoint))
    steps: dict[str, int] = {}
    for event in events:
        if isinstance(event, Scalars | Images):
            assert 0 <= event.step <= last, event
            for key in event.values if isinstance(event, Scalars) else [event.key]:
                assert steps.get(key, -1) < event.step, f"{key} at step {event.step} is said after {steps[key]}"
                steps[key] = event.step
        if isinstance(event, Scalars):
            assert all(type(value) is float and not math.isinf(value) for value in event.values.values()), event
        if isinstance(event, Images):
            assert event.images.ndim == 4 and bool((event.images.abs() <= 1).all()), event.key
    progress_ends_where_it_said(events)


def progress_ends_where_it_said(events: Sequence[Event]) -> None:
    """Each time that a stage begins, all or a part of it is still to do; a stage of several parts is done in the end."""
    said = [event for event in events if isinstance(event, Progress)]
    for stage in {event.stage for event in said}:
        before = Progress(stage, 0, 0)
        for event in (event for event in said if event.stage == stage):
            begins = event.total != before.total or event.done < before.done
            assert 0 <= event.done <= event.total and not (begins and event.done == event.total), event
            before = event
        ended = before.done == before.total or before.total == 1
        assert ended or before.done == 0, before  # what another trial has computed is only announced
