"""The figure of where trials ran: a row a worker of each machine, GPU or processor, a bar a trial."""

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from orchestrator.analysis import occupancy
from orchestrator.analysis.occupancy import Place
from orchestrator.figures.canvas import LINES, blank, time_unit
from orchestrator.figures.subject import Subject
from orchestrator.figures.timeline import OUTCOMES

COLORS = {outcome: color for outcome, (color, _) in OUTCOMES.items()} | {occupancy.WENT_ON: LINES[5]}
NUMBERED = 60  # bars that still have room for their numbers


def of_sweep(subject: Subject) -> Figure | None:
    """``places`` of a sweep's trials."""
    return draw(occupancy.places(subject.book.trials()))


def draw(places: list[Place]) -> Figure | None:
    """A row a worker, grouped by place, with the share of time in which the place was busy; None where there is none."""
    if not places:
        return None
    rows = [row for place in places for row in place.rows]
    longest = max(bar.ended for row in rows for bar in row)
    size, name = time_unit(longest)
    figure = blank(7.5, min(8.0, 1.8 + 0.28 * len(rows)), "where trials ran")
    axes = figure.add_subplot(xlabel=f"{name} during which trials ran, breaks left out")
    numbered = sum(map(len, rows)) <= NUMBERED
    for y, row in enumerate(rows):
        for bar in row:
            width, color = (bar.ended - bar.began) / size, COLORS.get(bar.outcome, LINES[6])
            axes.barh(y, width, left=bar.began / size, height=0.8, color=color, edgecolor="white", lw=0.5)
            if numbered:
                middle = bar.began / size + width / 2
                axes.text(middle, y, str(bar.number), ha="center", va="center", fontsize=7, color="white", clip_on=True)
    ticks, y = [], 0
    for place in places:
        ticks.append((y + (len(place.rows) - 1) / 2, f"{place.name}\n{place.busy:.0%} busy"))
        y += len(place.rows)
        axes.axhline(y - 0.5, color="k", lw=0.4)
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, longest / size or 1)
    outcomes = [outcome for outcome in COLORS if any(bar.outcome == outcome for row in rows for bar in row)]
    handles = [Patch(color=COLORS[outcome], label=outcome.replace("_", " ")) for outcome in outcomes]
    figure.legend(handles=handles, loc="outside right upper", fontsize=9)
    return figure
