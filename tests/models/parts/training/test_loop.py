"""The training loop: which events come at which step, and a resumed training that equals an uninterrupted one."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from models.events import Checkpoint, Diverged, Event, Facts, Images, Progress, Scalars
from models.parts.training import loop
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from tests.support.playing import gone_on


class Line:
    """A weight that is pulled towards noise. ``bad_step`` is the first report that counts as lost."""

    def __init__(self, updates: int, bad_step: int | None = None, samples: torch.Tensor | None = None) -> None:
        self.updates, self.bad_step, self.samples = updates, bad_step, samples
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.network.weight)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1.0)
        self.noise = torch.Generator().manual_seed(0)
        self.parts = {"network": self.network, "optimizer": self.optimizer, "noise": self.noise}
        self.learning_rates = (LearningRate(self.optimizer, 0.1, warmup=4),)
        self.evaluations = (Evaluation(2, self.evaluate), Evaluation(4, self.quick_evaluation))
        self.total, self.measured = 0.0, list[int]()

    def introduce(self) -> Iterator[Event]:
        yield Facts({"network/parameters": 1})

    def update(self, index: int) -> Outcome:
        loss = (self.network.weight - torch.randn(1, 1, generator=self.noise)).square().sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.total += loss.item()

        def measure() -> dict[str, float]:
            self.measured.append(index)
            return {"loss": loss.item(), "absent": float("nan"), "rate": self.optimizer.param_groups[0]["lr"]}

        return Outcome(self.samples, measure)

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        assert "absent" in measurements, "the monitor sees what is not finite as well"
        if self.bad_step is not None and step >= self.bad_step:
            raise Diverged("lost", step, "the line is lost")

    def evaluate(self, step: int) -> Iterator[Event]:
        yield Scalars(step, {"total": self.total})

    def quick_evaluation(self, step: int) -> Iterator[Event]:
        yield Scalars(step, {"quick": self.network.weight.item()})

    def extra_state(self) -> dict[str, Any]:
        return {"total": self.total}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.total = state["total"]


def steps(events: list[Event], kind: type, key: str = "") -> list[int]:
    return [event.step for event in events if isinstance(event, kind) and (not key or key in event.values)]


def test_a_resumed_training_equals_an_uninterrupted_one() -> None:
    straight, resumed = gone_on(lambda state: loop.run(Line(12), state), 5)
    assert [event for event in straight if not isinstance(event, Checkpoint)] == [
        event for event in resumed if not isinstance(event, Checkpoint)
    ]
    assert steps(straight, Checkpoint) == [5, *range(6, 13)] and steps(resumed, Checkpoint) == list(range(6, 13))
    assert not any(isinstance(event, Facts) for event in resumed), "the introduction is not repeated"
    last, again = ([event for event in events if isinstance(event, Checkpoint)][-1] for events in (straight, resumed))
    torch.testing.assert_close(last.state()["network"], again.state()["network"], rtol=0, atol=0)


def test_a_checkpoint_is_offered_after_each_update_and_holds_all_parts() -> None:
    for event in loop.run(Line(3), None):
        if isinstance(event, Checkpoint):
            state = event.state()
            assert list(state) == ["update", "network", "optimizer", "noise", "total"] and state["update"] == event.step


def test_about_a_hundred_reports_are_measured_and_the_last_update_is_one() -> None:
    line = Line(403)
    events = list(loop.run(line, None))
    assert steps(events, Scalars, "loss") == [*range(4, 403, 4), 403]
    assert line.measured == [step - 1 for step in steps(events, Scalars, "loss")], "nothing is measured between reports"
    said = {event.done for event in events if isinstance(event, Progress)}  # after evaluations, too
    assert said == {0, *(step for key in ("loss", "total", "quick") for step in steps(events, Scalars, key))}
    assert not any("absent" in event.values for event in events if isinstance(event, Scalars)), "a gap in the curve"


def test_the_learning_rate_is_set_before_each_update() -> None:
    rates = [
        event.values["rate"]
        for event in loop.run(Line(100), None)
        if isinstance(event, Scalars) and "rate" in event.values
    ]
    assert rates[0] == pytest.approx(0.1 / 4) and max(rates) == pytest.approx(0.1, rel=0.01)
    assert rates[-1] == pytest.approx(0.1 / 20, rel=0.01)


def test_evaluations_run_at_their_milestones_and_one_at_a_step() -> None:
    """Two parts of eight updates end within training at 4, four parts at 2, 4 and 6: at 4 the first wins."""
    events = list(loop.run(Line(8), None))
    assert steps(events, Scalars, "total") == [4] and steps(events, Scalars, "quick") == [2, 6]
    after = [type(event).__name__ for event in events if getattr(event, "step", None) == 4]
    assert after[-2:] == ["Scalars", "Checkpoint"], "a checkpoint holds what an evaluation changed"


@pytest.mark.parametrize("samples", [None, torch.zeros(100, 1, 2, 2)])
def test_samples_are_kept_where_training_diverges(samples: torch.Tensor | None) -> None:
    events: list[Event] = []
    with pytest.raises(Diverged, match="lost at step 3"):
        for event in loop.run(Line(8, 3, samples), None):
            events.append(event)
    images = [event for event in events if isinstance(event, Images)]
    assert [(event.step, event.key, len(event.images)) for event in images] == (
        [] if samples is None else [(3, "samples/training", 64)]
    )
    assert steps(events, Scalars, "loss")[-1] == 3 and steps(events, Checkpoint) == [1, 2], (
        "the lost step is reported, not saved"
    )
