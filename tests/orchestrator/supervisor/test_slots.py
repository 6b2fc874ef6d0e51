"""Slots follow the places of a launcher; machines that are lost are no deaths of a trial, ten times."""

from dataclasses import dataclass, field

from orchestrator.devices import Resources
from orchestrator.launchers.inline import InlineLauncher
from orchestrator.launchers.protocol import Died
from orchestrator.layout import trial_folder
from orchestrator.supervisor.deaths import LOSSES, Deaths
from orchestrator.supervisor.slots import Slots
from orchestrator.supervisor.status import RunningTrial
from tests.support.bench import Bench


@dataclass
class Growing(InlineLauncher):
    """A launcher whose places are said."""

    count: int = 2
    resources: Resources = field(default_factory=lambda: Resources(("cpu",) * 2, 1))

    def places(self, trials: int) -> int:
        return min(self.count, trials)


def test_slots_follow_the_places() -> None:
    launcher = Growing()
    slots = Slots(launcher)
    assert [slots.take(), slots.take()] == [(0, "cpu"), (1, "cpu")] and not slots.free
    launcher.count = 3
    slots.follow([0, 1], 9)
    assert slots.take() == (2, "cpu")
    launcher.count = 1
    slots.follow([0, 1, 2], 9)
    slots.give(2)
    slots.give(1)
    assert not slots.free, "there is no room for these any more"
    slots.give(0)
    assert list(slots.free) == [0]


def test_a_lost_machine_is_no_death_until_that_has_happened_often(bench: Bench) -> None:
    book = bench.book()
    trial_folder(book.spec.folder, 0).mkdir(parents=True)
    trial = RunningTrial(book.ask(), 0, None, 0.0, 0.0)  # type: ignore[arg-type]
    deaths = Deaths(book, most=2)
    for _ in range(LOSSES):
        assert deaths.count(trial, 5, Died("the node was lost", lost=True)) is None
    (pending,) = book.trials()
    assert pending.deaths == ()
    assert deaths.count(trial, 5, Died("the node was lost", lost=True)) is None
    assert deaths.count(trial, 6, Died("the node was lost", lost=True)) is None, "it has come further"
    end = deaths.count(trial, 5, Died("signal SIGSEGV"))
    assert end is not None and end.outcome == "failed" and end.detail == "2 times at step 5: signal SIGSEGV"
