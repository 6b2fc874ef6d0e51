"""How often Python looks for cycles of garbage: a command's imports make none, and looking takes half of their time."""

import gc

RARELY = 100_000  # objects made and not yet freed; a command that opens both stores makes some 700,000
_before: list[tuple[int, int, int]] = []  # the thresholds that `rarely` changed, until `usually` puts them back


def rarely() -> None:
    """Look for cycles rarely, as a command does while it starts."""
    before = gc.get_threshold()
    _before.append(before)
    gc.set_threshold(RARELY, *before[1:])


def usually() -> None:
    """Look as often as before ``rarely``, but leave out what is there already: it stays until the process ends.

    A notebook that never called ``rarely`` keeps its own thresholds, and its objects are looked at as ever.
    """
    if _before:
        gc.freeze()
        gc.set_threshold(*_before[0])
        _before.clear()
