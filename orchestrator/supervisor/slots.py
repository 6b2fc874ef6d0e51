"""The slots of a sweep: one for each trial that runs, as many as its launcher has places by now."""

from collections import deque
from collections.abc import Iterable

from orchestrator.launchers.protocol import Launcher


class Slots:
    """Which slots are free."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self.count = launcher.resources.slots
        self.free = deque(range(self.count))

    def take(self) -> tuple[int, str]:
        """A free slot and its device."""
        slot, devices = self.free.popleft(), self.launcher.resources.devices
        return slot, devices[slot % len(devices)]

    def give(self, slot: int) -> None:
        """Its trial has ended."""
        if slot < self.count:
            self.free.append(slot)

    def follow(self, taken: Iterable[int], trials: int) -> None:
        """Have as many as the launcher has places; ``taken`` are those of trials that run, ``trials`` are left with them."""
        places = self.launcher.places(trials)
        if places != self.count:
            busy = set(taken)
            self.free = deque(slot for slot in range(places) if slot not in busy)
            self.count = places
