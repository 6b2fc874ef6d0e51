"""How often Python looks for cycles of garbage: a command's imports make none, and looking takes half of their time."""

import gc

_USUAL = gc.get_threshold()
RARELY = 100_000  # objects made and not yet freed; a command that opens both stores makes some 700,000


def rarely() -> None:
    """Look for cycles rarely, as a command does while it starts."""
    gc.set_threshold(RARELY, *_USUAL[1:])


def usually() -> None:
    """Look as often as Python does by itself, but leave out what is there already: it stays until the process ends."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
