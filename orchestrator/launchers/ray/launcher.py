"""The supervisor's side: slots on the nodes of a cluster, jobs that wait for one, and what comes back from them."""

import contextlib
import itertools
import math
import time
import uuid
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.devices import Resources
from orchestrator.errors import UserError
from orchestrator.files import CannotWrite, cannot_write
from orchestrator.launchers.protocol import Died, Job, Launcher
from orchestrator.launchers.ray import cargo, cluster, library, mirror, probe
from orchestrator.launchers.ray.agent import Agent, Parcel, Where
from orchestrator.launchers.ray.cargo import Cargo
from orchestrator.launchers.ray.cluster import Wanted
from orchestrator.launchers.ray.mirror import Target
from orchestrator.launchers.ray.slot import KILL_SECONDS, RayJob, Slot
from orchestrator.messages import CANNOT_WRITE, Ended, Task

COUNT_SECONDS = 2.0  # between counts of the cluster's places
START_FAILURES = 3  # of actors, one after the other, until the sweep ends
REST_SECONDS = 60.0  # for which a node whose disk is full is left alone, or one where no actor can be started
LOOK_SECONDS = 1.0  # between looks at which nodes are taken away


class RayLauncher(Launcher):
    """Slots anywhere in a cluster. A trial whose slot is lost waits for the next that is free, on whatever node."""

    def __init__(
        self,
        resources: Resources,
        study: str,
        address: str = "",
        cpus: float = 1.0,
        gpus: float = 0.0,
        custom: Mapping[str, float] | None = None,
        most: int = 0,
        cache: str = "",
    ) -> None:
        """``most`` trials at a time, where the number of slots follows the cluster; 0 where it is fixed.

        ``cache`` is the folder of networks that are trained once.
        """
        self.resources, self.study, self.most = resources, study, most
        self.wanted = Wanted(address, cpus, gpus, custom or {})
        self.ray = library.library()
        self.cluster = cluster.connect(self.wanted) if address else cluster.start(self.wanted, resources.slots)
        self.mark: Path | None = None
        self.slots: list[Slot] = []
        try:
            self._begin(Path(cache) if cache else None)
        except BaseException:
            self.close()
            raise

    def _begin(self, cache: Path | None) -> None:
        """Have the slots begin; they are ready later."""
        self.cargo = Cargo(self.ray.put)
        self.needed: dict[tuple[str, ...], Any] = {}  # references to shipments, by the key of tasks
        self.cache = cache
        self.mark = self._mark()
        self.waiting: deque[RayJob] = deque()
        self.lives = itertools.count()
        self.failures = 0
        self.fill_after = -math.inf  # no actor is started before, for they have failed one after the other
        self.package = probe.package()
        self.spare = 0  # actors for which there is no place yet
        self.counted = self.looked = time.monotonic()
        self._fill()

    def places(self, trials: int) -> int:
        """See Launcher: as many as the cluster has by now, where nobody has said how many."""
        if time.monotonic() - self.looked > LOOK_SECONDS:
            self.looked = time.monotonic()
            self._leave(self.cluster.leaving())
            self._fill()
        if self.most and time.monotonic() - self.counted > COUNT_SECONDS:
            self.counted = time.monotonic()
            most = max(1, min(self.most, trials))
            count = max(1, min(most, self.cluster.places(self.wanted)))
            self.spare = min(most - count, count)
            self.resources = Resources(self.resources.devices[:1] * count, self.resources.threads)
            self._fill()
        return self.resources.slots

    def launch(self, task: Task) -> RayJob:
        """Have the trial wait for the next free slot."""
        job = RayJob(task)
        self.waiting.append(job)
        self._assign()
        return job

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """See Launcher. UserError where actors cannot be started at all."""
        self._assign()
        if any(isinstance(job, RayJob) and (job.messages or job.end) for job in jobs):
            seconds = 0.0
        asked = {slot.pending: slot for slot in self.slots if slot.pending is not None}
        if not asked:
            time.sleep(min(seconds, 0.05))
            return
        ready, _ = self.ray.wait(list(asked), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = self.ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for reference in ready:
            self._answered(asked[reference], reference)
        for slot in [slot for slot in self.slots if slot.job is None and slot.kill_before < time.monotonic()]:
            self._lose(slot, "it did not end a trial")
        self._assign()

    def close(self) -> None:
        """End the slots, and the cluster where it is ours."""
        try:
            asked = [slot.handle.close.remote() for slot in self.slots if slot.where is not None]
            if asked:
                self.ray.wait(asked, num_returns=len(asked), timeout=KILL_SECONDS)
            for slot in self.slots:
                self.ray.kill(slot.handle)
        finally:
            if self.mark is not None:
                self.mark.unlink(missing_ok=True)
            self.cluster.close()

    # ---- slots -------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Have as many actors as there are slots; of those too many the ones that wait for a node are ended first.

        Some more wait for nodes that an autoscaler may add: it sees them as demand.
        """
        wanted = self.resources.slots + self.spare
        unused = [slot for slot in self.slots if slot.where is None] + [slot for slot in self.slots if slot.idle]
        for slot in unused[: max(0, len(self.slots) - wanted)]:
            self.slots.remove(slot)
            self.ray.kill(slot.handle)
        while len(self.slots) < wanted and time.monotonic() > self.fill_after:
            self.slots.append(Slot(self._actor()))

    def _leave(self, nodes: Collection[str]) -> None:
        """Leave these nodes, which are being taken away: at once where no trial is played, else with a checkpoint."""
        for slot in [slot for slot in self.slots if slot.where is not None and slot.where.node_id in nodes]:
            if not slot.leaving:
                slot.leave()
            if slot.job is None:
                self._lose(slot, "")

    def _actor(self) -> Any:
        actor = self.ray.remote(Agent).options(
            num_cpus=self.wanted.cpus,
            num_gpus=self.wanted.gpus,
            resources=dict(self.wanted.custom),
            max_concurrency=8,
            max_restarts=0,
            scheduling_strategy="SPREAD",
        )
        cuda = self.resources.devices[0] != "cpu"
        cache = None if self.cache is None else self.cargo.cache(self.cache)
        return actor.remote(
            self.study, self.resources.threads, cuda, cache, str(self.cache or ""), str(self.mark or "")
        )

    def _mark(self) -> Path | None:
        """A file by which a node that sees the supervisor's disk knows it; CannotWrite where it cannot be made."""
        if self.cache is None:
            return None
        mark = self.cache / f".seen-{uuid.uuid4().hex}.lock"
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            mark.touch()
        except OSError as error:
            raise cannot_write(mark, error) from error
        return mark

    def _assign(self) -> None:
        """Give waiting trials to idle slots."""
        self.waiting = deque(job for job in self.waiting if job.end is None)
        for slot in self.slots:
            if slot.idle and self.waiting:
                job = self.waiting.popleft()
                needed = cargo.key(job.task)
                if needed not in self.needed:
                    self.needed[needed] = self.ray.put(self.cargo.of(job.task))
                slot.play(job, next(self.lives), self.needed[needed])

    def _answered(self, slot: Slot, reference: Any) -> None:
        try:
            answer = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:  # what we wrote for the node has failed there
            self._lose(slot, library.reason(error), counts=slot.job is not None)
            return
        except self.ray.exceptions.RayError as error:
            self._lose(slot, self._lost(slot, error))
            return
        slot.pending, slot.kill_before = None, math.inf
        if isinstance(answer, Where) and answer.package != self.package:  # its node has joined later
            self._lose(slot, f"the node {answer.node} has another version of generative-sweeps")
        elif isinstance(answer, Where):
            slot.where, self.failures = answer, 0
        elif isinstance(answer, Parcel) and slot.job is not None:
            self._take(slot, slot.job, answer)

    def _take(self, slot: Slot, job: RayJob, parcel: Parcel) -> None:
        over = parcel.died is not None or any(isinstance(message, Ended) for message in parcel.messages)
        if over:
            slot.job = job.slot = None
        else:
            slot.pending = slot.handle.listen.remote(job.life)
        if self.cache is not None and parcel.learned:
            with contextlib.suppress(CannotWrite):  # another trial makes it anew
                Target(self.cache).take([part for part in parcel.learned if not (self.cache / part.name).exists()])
        try:
            job.take(parcel, elsewhere=not over or self._rest(slot, parcel))
        except mirror.Damaged as error:
            job.end = Died(str(error))
            slot.release(job)

    def _rest(self, slot: Slot, parcel: Parcel) -> bool:
        """Give no trial to the slots of a node whose disk is full, for some time; False where no other node can write."""
        if slot.where is None or not any(
            isinstance(end, Ended) and end.reason == CANNOT_WRITE for end in parcel.messages
        ):
            return True
        for beside in self.slots:
            if beside.where is not None and beside.where.node_id == slot.where.node_id:
                beside.rests_until = time.monotonic() + REST_SECONDS
        return any(other.where is not None and other.rests_until < time.monotonic() for other in self.slots)

    def _lose(self, slot: Slot, how: str, counts: bool = False) -> None:
        """The actor is gone: its trial goes on elsewhere, and another actor takes its place."""
        with contextlib.suppress(Exception):  # it may be gone in more ways than Ray has names for
            self.ray.kill(slot.handle)
        self.slots.remove(slot)
        if slot.job is not None:
            slot.job.slot, slot.job.end = None, Died(how, lost=not counts)
        elif slot.where is None:
            self.failures += 1
            if self.failures >= START_FAILURES:
                self.fill_after = time.monotonic() + REST_SECONDS
            if self.failures >= START_FAILURES and not any(other.where for other in self.slots):
                raise UserError(f"no worker can be started in the cluster at {self.cluster.address}: {how}")
        self._fill()

    def _lost(self, slot: Slot, error: Exception) -> str:
        where = "" if slot.where is None else f" on {slot.where.text}"
        if slot.where is not None and not self.cluster.alive(slot.where.node_id):
            return f"the node {slot.where.node} was lost"
        return f"the actor{where} was lost ({library.reason(error)})"
