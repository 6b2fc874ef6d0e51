"""Which trial of a sweep is next, and when an ended one is told."""

from collections import deque
from pathlib import Path

from orchestrator.launchers.protocol import Launcher
from orchestrator.layout import ENDED, TRIAL, trial_folder, trial_folders
from orchestrator.messages import Ended
from orchestrator.search.book import Book
from orchestrator.search.trials import PendingTrial
from orchestrator.worker import checkpoint, lock, result

BATCH = 4  # trials that are asked, and told, together where a sweep is to be deterministic
EVICT_SECONDS = 5.0  # that workers of a supervisor that is gone have to leave, after all that we took to start


class Agenda:
    """The trials that are to be started, in the order of their numbers.

    In a deterministic sweep trials are asked BATCH at a time, when all before have ended and are told in their order: so
    what the sampler and the pruner know does not depend on which worker was faster.
    """

    def __init__(self, book: Book) -> None:
        self.book = book
        self.queue: deque[PendingTrial] = deque()
        self.held: dict[int, Ended] = {}  # ended, and to be told when their batch is complete
        self.finished = len(book.finished())  # with those that are held
        self.total = book.total()
        self.events: list[str] = []  # arms that have left a race

    def adopt(self, launcher: Launcher) -> list[tuple[PendingTrial, Ended]]:
        """Take over what an earlier supervisor left: trials that run go first; returns those that have ended, to be closed."""
        spec = self.book.spec
        folders = {trial.number: trial_folder(spec.folder, trial.number) for trial in self.book.trials_running()}
        launcher.evict(folders.values(), EVICT_SECONDS)
        clear_ended(self.book)
        ended = []
        for trial in self.book.adopt():
            end = result.load(folders[trial.number])
            if end is None:
                self.queue.append(trial)
            else:
                ended.append((trial, end))
        if self.queue and spec.deterministic:
            self._fill()
        return ended

    def next(self, running: int) -> PendingTrial | None:
        """The trial to be started while ``running`` others run; None where there is none now."""
        if self.book.spec.deterministic:
            if not self.queue and not running:
                for number in sorted(self.held):
                    self._tell(number, self.held.pop(number))
                self._fill()
        elif not self.queue and self.wanted(running):
            self.queue.append(self.book.ask())
        return self.queue.popleft() if self.queue else None

    def wanted(self, running: int) -> bool:
        """Whether trials must be asked to reach the total."""
        return self.finished + running + len(self.queue) < self.total

    @property
    def left(self) -> int:
        """Trials that have not ended, those that run among them."""
        return max(0, self.total - self.finished)

    def open(self, running: int) -> bool:
        """Whether anything is left to be done, now or when those that run have ended."""
        return bool(self.queue or self.held) or self.wanted(running)

    def requeue(self, trial: PendingTrial) -> None:
        """It goes on as itself."""
        self.queue = deque(sorted([trial, *self.queue], key=lambda queued: queued.number))

    def withdraw(self, number: int) -> PendingTrial | None:
        """Take a trial off the agenda; None where it is not there."""
        trial = next((queued for queued in self.queue if queued.number == number), None)
        if trial is not None:
            self.queue.remove(trial)
        return trial

    def ended(self, number: int, end: Ended) -> None:
        """Tell how a trial ended, now or when its batch is complete."""
        self.finished += 1
        if self.book.spec.deterministic:
            folder = trial_folder(self.book.spec.folder, number)
            if result.load(folder) is None:
                result.save(folder, end)
            self.held[number] = end
        else:
            self._tell(number, end)

    def extend(self, trials: int) -> None:
        """Give the sweep another total."""
        self.book.update(trials=trials)
        self.total = self.book.total()

    def _fill(self) -> None:
        """Ask what the batch lacks."""
        while self.wanted(0) and (not self.queue or (self.queue[-1].number + 1) % BATCH):
            self.queue.append(self.book.ask())

    def _tell(self, number: int, end: Ended) -> None:
        self.book.tell(number, end)
        _clear(trial_folder(self.book.spec.folder, number), self.book.spec.checkpoints_of(number))
        compared = self.book.spec.comparison
        if compared is not None and compared.race:
            from orchestrator.analysis import comparison  # with its statistics, for which only races wait

            for arm, why in comparison.losers(self.book).items():
                self.book.drop(arm, why)
                self.events.append(f"{compared.arms[arm].name} leaves the race: {why}")
            self.total = self.book.total()


def clear_ended(book: Book) -> None:
    """Clear the files of trials whose end Optuna knows: whoever told it may have been killed before doing so."""
    running = {trial_folder(book.spec.folder, trial.number) for trial in book.trials_running()}
    for folder in trial_folders(book.spec.folder):
        if (folder / ENDED).exists() and folder not in running:
            _clear(folder, book.spec.checkpoints_of(int(folder.name.removeprefix(TRIAL))))


def _clear(folder: Path, checkpoints: str) -> None:
    """A trial that is told needs no checkpoint, ending or mark of a worker any more."""
    checkpoint.remove(folder, checkpoints)
    lock.remove(folder)
    result.remove(folder)  # last, for it shows that there is something to clear
