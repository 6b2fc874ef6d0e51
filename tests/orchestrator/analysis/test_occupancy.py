"""Where trials ran: rows without overlaps, shares of the time at work, and the figure of them."""

from orchestrator.analysis import occupancy
from orchestrator.analysis.occupancy import Clock
from orchestrator.figures import places
from orchestrator.figures.subject import Subject
from orchestrator.search.trials import Stay, Trial
from tests.support.bench import Bench, stop_in


def test_a_clock_stands_still_while_nothing_is_played() -> None:
    clock = Clock([(100, 110), (105, 120), (200, 210)])
    assert [clock(time) for time in (90, 100, 115, 150, 200, 205, 300)] == [0, 0, 15, 20, 20, 25, 30]


def test_places_have_as_many_rows_as_trials_at_a_time_and_their_shares() -> None:
    trials = [
        Trial(0, stays=(Stay("a", 0, 10),)),
        Trial(1, stays=(Stay("a", 0, 5), Stay("b", 5, 10))),  # it went on elsewhere
        Trial(2, stays=(Stay("a", 6, 10),), outcome="failed"),
        Trial(3, "running", "running", stays=(Stay("b", 100, 110),)),
    ]
    a, b = occupancy.places(trials)
    assert (a.name, [[bar.number for bar in row] for row in a.rows]) == ("a", [[0], [1, 2]])
    assert a.busy == (10 + 5 + 4) / (2 * 20) and b.busy == (5 + 10) / 20
    assert [bar.outcome for row in a.rows for bar in row] == ["complete", occupancy.WENT_ON, "failed"]
    assert [bar.outcome for row in b.rows for bar in row] == ["complete", occupancy.WENT_ON]
    assert [(bar.began, bar.ended) for bar in b.rows[0]] == [(5, 10), (10, 20)], "the break is left out"


def test_a_sweep_keeps_where_its_trials_were_and_draws_it(bench: Bench) -> None:
    assert places.of_sweep(Subject(bench.book(name="empty"))) is None
    book = bench.book(trials=4)
    bench.drive(book, stop_in(book, 2))
    bench.drive(book)
    trials = book.trials()
    assert [len(trial.stays) for trial in trials if trial.number < 2] == [1, 1] and len(trials[2].stays) == 2
    for stay in [stay for trial in trials for stay in trial.stays]:
        assert stay.where == "cpu" and stay.began <= stay.ended and stay.waited == 0
    (place,) = occupancy.places(trials)
    assert len(place.rows) == 1 and 0 < place.busy <= 1
    figure = places.of_sweep(Subject(book))
    assert figure is not None
    (axes,) = figure.axes
    assert len(axes.patches) == sum(len(trial.stays) for trial in trials)
    assert axes.get_yticklabels()[0].get_text() == f"cpu\n{place.busy:.0%} busy"
