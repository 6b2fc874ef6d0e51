"""When a worker is ended: it takes too long, or it hangs. A slow one is not."""

from dataclasses import dataclass

from orchestrator.messages import WAITING
from orchestrator.supervisor.status import RunningTrial

TRAINING = "training"  # the stage that is never long silent; others are announced, and may be
# Processor time over a whole silence that is none: so much of it, and at most so many seconds. Who computes may get far less
# than a core, where others want it as well; who hangs gets nothing but what its beats cost.
IDLE_SHARE, IDLE_SECONDS = 0.05, 0.5


@dataclass(frozen=True)
class Limits:
    """Limits, in seconds except for deaths; None means no limit."""

    checkpoint: float = 30.0  # between checkpoints, so at most this is computed twice
    silence: float | None = 300.0
    trial: float | None = None  # that a worker may play a trial for
    deaths: int = 3  # of a trial's workers, at the same checkpoint, until the trial has failed

    def late(self, trial: RunningTrial, now: float) -> str:
        """Why the trial takes too long at ``now``, '' where it does not. One that waits for a place has not begun."""
        if self.trial is None or trial.pulse.stage == WAITING or now - trial.began <= self.trial:
            return ""
        return f"ended after {self.trial:g} s, the limit that --trial-timeout sets, at {trial.progress()}"

    def silent(self, trial: RunningTrial, now: float) -> str:
        """Why the worker counts as hung at ``now``, '' where it does not.

        In training, silence is enough. At any other stage (evaluation, a judge, downloads) it may be at long work that says
        nothing: there it is hung where it has used no processor time either, as when it was stopped by a signal.
        """
        if self.silence is None or now - trial.heard <= self.silence:
            return ""
        if trial.pulse.stage != TRAINING:
            used, before = trial.job.processor_seconds(), trial.processor
            if used is None:
                return ""
            if before is None or used - before > min(IDLE_SECONDS, IDLE_SHARE * self.silence):
                trial.processor, trial.heard = used, now  # it has as long again
                return ""
        return f"silent for {self.silence:g} s at {trial.progress()}, so its worker was ended"
