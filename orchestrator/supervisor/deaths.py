"""When a trial has failed because its workers die: three times at the same checkpoint, unless their machines were lost."""

from collections import Counter
from collections.abc import Sequence

from orchestrator.launchers.protocol import Died
from orchestrator.layout import trial_folder
from orchestrator.messages import Ended
from orchestrator.search.book import Book
from orchestrator.search.trials import Death
from orchestrator.supervisor.status import RunningTrial
from orchestrator.tracking import trial_record

KILLS = 4  # by SIGKILL, that count as much as one death which the trial itself may have caused
LOSSES = 10  # of machines under a trial at the same checkpoint; any more count as deaths of its worker


def hopeless(deaths: Sequence[Death], most: int) -> bool:
    """Whether these ``deaths`` at one checkpoint count as much as ``most`` that the trial itself may have caused."""
    return sum(1 if death.is_weak else KILLS for death in deaths) >= KILLS * most


class Deaths:
    """The deaths of the workers of a sweep."""

    def __init__(self, book: Book, most: int) -> None:
        """``most`` of them at the same checkpoint, and the trial has failed."""
        self.book, self.most = book, most
        self.losses: Counter[tuple[int, int]] = Counter()  # of machines, by trial and step

    def count(self, trial: RunningTrial, place: int, death: Died) -> Ended | None:
        """Note the death of a worker whose last checkpoint was of step ``place``; returns how the trial ended, if it did.

        A worker whose machine was lost is not counted, until that has happened so often that the trial may be the reason.
        """
        number, how = trial.number, str(death)
        if death.out_of_memory:
            return Ended("out_of_memory", trial.values, "KilledForMemory", how)
        self.losses[number, place] += death.lost
        if death.lost and self.losses[number, place] <= LOSSES:
            return None
        deaths = self.book.died(number, place, how)
        here = [death for death in deaths if death.at == place]
        if hopeless(here, self.most):
            return Ended("failed", trial.values, "Died", f"{len(here)} times at step {place}: {here[-1].how}")
        trial_record.died(trial_folder(self.book.spec.folder, number), len(deaths))
        return None
