"""``python -m benchmarks cluster``: what a trial costs on a Ray cluster, what the supervisor costs, and how far both go."""

from collections.abc import Iterator

from benchmarks._figure import Figure


def measure(quick: bool = False) -> Iterator[Figure]:
    """Trials with Ray and Ray Tune beside them, if they are installed; then sweeps whose workers are simulated."""
    # Not before: a simulated sweep runs as a module beside them.
    from benchmarks.cluster import capacity, growth, trials

    yield from trials.measure(quick)
    yield from growth.measure(quick)
    yield from capacity.measure(quick)
