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
TRIALS, QUICK_TRIALS = 10_000, 600
MANY_REPORTS, REPORTING = 100, 100  # reports of each trial, and trials, where reports are measured
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
    trials = QUICK_TRIALS if quick else TRIALS
    for pruner in ("none", "median"):
        options = ("--trials", str(trials), "--workers", str(WORKERS), "--reports", str(REPORTS), "--pruner", pruner)
        marks = play(*options, "--every", str(trials // 10))
        yield Figure(
            f"supervisor, {WORKERS} simulated workers, {trials:,} trials of {REPORTS} reports, pruner {pruner}",
            f"{milliseconds(marks):.1f} ms of a processor a trial",
        )
        early, late = milliseconds(marks[:4]), milliseconds(marks[-4:])
        growth, ends = (
            late / early,
            f"{early:.1f} ms by trial {marks[3].trials:,}, {late:.1f} ms from {marks[-4].trials:,}",
        )
        yield Figure("  does it grow?", f"× {growth:.2f}: {ends}", f"× < {MOST_GROWTH}", growth < MOST_GROWTH)
        more = (marks[-1].megabytes - marks[1].megabytes) / (marks[-1].trials - marks[1].trials) * 1e3
        yield Figure(
            "  memory",
            f"{marks[1].megabytes:.0f} MB after {marks[1].trials:,} trials, {marks[-1].megabytes:.0f} MB at the end: "
            f"{more:.1f} kB a trial",
            f"< {MOST_KILOBYTES:.0f} kB",
            more < MOST_KILOBYTES,
        )
        yield Figure("  its course", " ".join(f"{mark.trials}:{mark.megabytes:.0f}MB" for mark in marks))
    many, few = (
        milliseconds(play("--trials", str(REPORTING), "--every", "32", "--reports", str(reports), "--pruner", "median"))
        for reports in (MANY_REPORTS, 1)
    )
    report = (many - few) / (MANY_REPORTS - 1)
    yield Figure("a report, with the median pruner's answer", f"{report:.2f} ms: {1e3 / report:,.0f} a second")
