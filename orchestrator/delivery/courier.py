"""Delivers outboxes in the background: training never waits for a server, and nothing is lost while it is out of reach."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from orchestrator.delivery import outbox
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.store import Store, Unclear
from orchestrator.stores import failures
from orchestrator.text import first_line

LOOK_SECONDS = 0.25  # between looks into outboxes that had nothing
RETRY_SECONDS = (0.5, 10.0)  # the first and the longest pause while the store is out of reach


class Pause(NamedTuple):
    """Until when an outbox is left alone."""

    end: float  # of time.monotonic
    seconds: float
    trouble: str  # why the store cannot be reached, '' where it answers


class Courier:
    """Delivers many outboxes from a thread of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.deliveries: dict[Path, Delivery] = {}
        self.refused: dict[str, int] = {}  # entries that were refused, by reason
        self.lock = threading.Lock()  # of deliveries
        self.leaving = threading.Event()
        self.trouble = ""  # why the store cannot be reached, '' where it can
        self.waiting: dict[Path, Pause] = {}  # outboxes that were not delivered
        self.thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self.thread.start()

    def serve(self, folder: Path, on_run: Callable[[str], None] | None = None) -> None:
        """Deliver the outbox of a trial's or sweep's folder, in which something has been written, until it is closed.

        ``on_run`` is called with the id of its record as soon as that is known, mostly from the courier's thread.
        """
        with self.lock:
            if folder not in self.deliveries:
                self.deliveries[folder] = Delivery(folder, self.store)
            if on_run is not None:
                self.deliveries[folder].call_back(on_run)

    def pending(self) -> int:
        """Bytes that are not delivered."""
        return sum(delivery.pending() for _, delivery in self._serving())

    def drain(self, patience: float) -> bool:
        """Wait until all is delivered; False where the store was out of reach for ``patience`` seconds meanwhile."""
        reached = time.monotonic()
        while self.pending():
            if not self.trouble:
                reached = time.monotonic()
            elif time.monotonic() - reached > patience:
                return False
            if not self.thread.is_alive():
                return False
            time.sleep(0.05)
        return True

    def close(self) -> None:
        """End the thread. What is not delivered stays in the outboxes."""
        self.leaving.set()
        self.thread.join(timeout=30)

    def _serving(self) -> list[tuple[Path, Delivery]]:
        with self.lock:
            return list(self.deliveries.items())

    def _run(self) -> None:
        pause = RETRY_SECONDS[0]
        while not self.leaving.is_set():
            delivered, away = 0, False
            for folder, delivery in self._serving():
                if folder in self.waiting and time.monotonic() < self.waiting[folder].end:
                    continue
                try:
                    delivered += self._once(folder, delivery)
                    self.waiting.pop(folder, None)
                except Unclear:  # it is about this outbox, and ends after some tries
                    self._put_off(folder, "")
                except Exception as error:  # a store may be out of reach in as many ways as there are stores
                    self._put_off(folder, first_line(failures.of_store(error) or error, most=400))
                    away = not delivered
                    if away:  # the others would meet the same, each after its own wait for an answer
                        break
            self.trouble = next((wait.trouble for wait in self.waiting.values() if wait.trouble), "")
            if away:
                self.leaving.wait(pause)
                pause = min(2 * pause, RETRY_SECONDS[1])
                continue
            pause = RETRY_SECONDS[0]
            if not delivered:
                self.leaving.wait(LOOK_SECONDS)

    def _put_off(self, folder: Path, trouble: str) -> None:
        """Try this outbox again later, the others meanwhile."""
        first, longest = RETRY_SECONDS
        seconds = min(2 * self.waiting[folder].seconds, longest) if folder in self.waiting else first
        self.waiting[folder] = Pause(time.monotonic() + seconds, seconds, trouble)

    def _once(self, folder: Path, delivery: Delivery) -> int:
        delivery.reasons.clear()  # of a step that was not completed, and will be made again
        try:
            delivered = delivery.step()
        except Exception:
            with self.lock:
                self.deliveries[folder] = self.deliveries.pop(folder)  # the others come before it
            raise
        for reason, count in delivery.reasons.items():
            self.refused[reason] = self.refused.get(reason, 0) + count
        with self.lock:  # whoever writes to it again asks us to serve it again, after writing
            if not delivered and not outbox.segments(delivery.folder):
                del self.deliveries[folder]
        return delivered
