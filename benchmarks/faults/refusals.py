"""Commands that are refused: every command with every kind of refusal, beside a sweep that is driven and others that are not.

A command survives if it ends with status 2 in a sentence, and neither a row of a store nor a file differs afterwards.
"""

from collections import Counter
from collections.abc import Iterator

from benchmarks._figure import empty_folder
from benchmarks.faults.row import Row
from tests.support.refusals import all_refusals, difference, folder_of_sweeps, refused, snapshot


def measure(count: int | None = None) -> Iterator[Row]:
    """A row for each kind of refusal; each command is tried once, whatever the ``count``."""
    tried, unchanged, changed = Counter[str](), Counter[str](), Counter[str]()
    with empty_folder() as folder, folder_of_sweeps(folder):
        before = snapshot(folder)
        for refusal in all_refusals():
            problem = refused(refusal)
            after = snapshot(folder)
            tried[refusal.kind] += 1
            unchanged[refusal.kind] += not problem and before == after
            changed[refusal.kind] += len(difference(before, after))
            before = after
    for kind, number in tried.items():
        lost = f"{changed[kind]} rows or files changed" if changed[kind] else "nothing"
        yield Row(f"refused command: {kind}", number, unchanged[kind], lost)
