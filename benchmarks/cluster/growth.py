"""Does a supervisor grow with its sweep? 64 simulated workers, which answer at once, and many trials.

Processor time is that of the supervisor's thread, so other work on the machine hardly counts. Trials are drawn by chance: what
TPE takes, which looks at all trials before each new one, is in `capacity`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from benchmarks._figure import Figure, empty_folder, environment
from benchmarks.cluster.simulated import Mark

WORKERS, REPORTS = 64, 5
ENDED, QUICK_ENDED = (0, 1_000, 10_000), (0, 200)  # trials that the sweep has already
TRIALS = 320  # that are played then
MANY_REPORTS, REPORTING = 100, 64  # reports of each trial, and trials, where reports are measured
MOST_GROWTH, MOST_KILOBYTES = 1.5, 10.0


def play(*options: str) -> list[Mark]:
    """A simulated sweep in a process and a folder of its own. See simulated."""
    with empty_folder() as folder:
        command = (sys.executable, "-m", "benchmarks.cluster.simulated", *options)
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr[-2000:])
    return [Mark(**json.loads(line)) for line in done.stdout.splitlines()]


def milliseconds(marks: Sequence[Mark]) -> float:
    """Processor time of the supervisor's thread, by trial, from the first mark to the last."""
    return (marks[-1].supervisor - marks[0].supervisor) / (marks[-1].trials - marks[0].trials) * 1e3


def measure(quick: bool = False) -> Iterator[Figure]:
    """Time and memory by trial, early and late; and reports."""
    sizes = QUICK_ENDED if quick else ENDED
    for pruner in ("none", "median"):
        costs, memory = dict[int, float](), dict[int, float]()
        for ended in sizes:
            marks = play("--ended", str(ended), "--workers", str(WORKERS), "--pruner", pruner, *_of(TRIALS, REPORTS))
            costs[ended], memory[ended] = milliseconds(marks), marks[-1].megabytes
        growth, judged = costs[sizes[-1]] / costs[0], pruner == "none"
        yield Figure(
            f"supervisor, {WORKERS} simulated workers, a trial of {REPORTS} reports, pruner {pruner}: processor",
            "; ".join(f"{cost:.1f} ms after {ended:,} trials" for ended, cost in costs.items()) + f"; × {growth:.2f}",
            f"× < {MOST_GROWTH}" if judged else "",
            growth < MOST_GROWTH if judged else None,
        )
        more = (memory[sizes[-1]] - memory[0]) / sizes[-1] * 1e3
        yield Figure(
            "  memory",
            ", ".join(f"{size:.0f} MB after {ended + TRIALS:,} trials" for ended, size in memory.items())
            + f": {more:.1f} kB a trial",
            f"< {MOST_KILOBYTES:.0f} kB",
            more < MOST_KILOBYTES,
        )
    many, few = (milliseconds(play("--pruner", "median", *_of(REPORTING, reports))) for reports in (MANY_REPORTS, 1))
    report = (many - few) / (MANY_REPORTS - 1)
    yield Figure("a report, with the median pruner's answer", f"{report:.2f} ms: {1e3 / report:,.0f} a second")


def _of(trials: int, reports: int) -> tuple[str, ...]:
    return "--trials", str(trials), "--every", str(trials), "--reports", str(reports)
