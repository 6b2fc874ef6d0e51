"""``python -m orchestrator`` is ``sweep``."""

import gc
import os
import signal
import sys
import threading
from _thread import interrupt_main
from typing import Any

AGAIN_SECONDS = 0.02  # until a Ctrl-C that Python has dropped is heard once more


def hear_again(dropped: Any) -> None:
    """Ctrl-C in a callback of Python's own, as while modules are imported, is dropped by it: it is made once more."""
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        threading.Timer(AGAIN_SECONDS, interrupt_main).start()
    else:
        sys.__unraisablehook__(dropped)


sys.unraisablehook = hear_again

try:
    os.getcwd()
except OSError:
    print("Error: the current folder is gone; go to one that is there", file=sys.stderr)
    sys.exit(2)

# `python -m` looks for modules in the current folder first: a user's json.py there is not the json that we mean. It comes
# last, for a study file may import its neighbours.
if sys.path and os.path.realpath(sys.path[0] or os.curdir) == os.path.realpath(os.curdir):
    if not os.path.samefile(os.curdir, os.path.dirname(os.path.dirname(__file__))):
        sys.path.append(sys.path.pop(0) or os.getcwd())

try:
    from orchestrator import collector, outputs
    from orchestrator.cli.main import main
except KeyboardInterrupt:
    from orchestrator.errors import AGAIN, INTERRUPTED

    print(AGAIN, file=sys.stderr)
    sys.exit(INTERRUPTED)


def start() -> None:
    """Run the command that was typed, and leave with its exit status."""
    collector.rarely()
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    outputs.protect(command)
    try:
        main(prog_name="sweep")
    except SystemExit as end:
        if isinstance(end.code, int | None):
            end.code = outputs.status(end.code or 0, command)
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it leaves already
        gc.freeze()  # looking through all that was imported would take as long again on leaving


if __name__ == "__main__":
    start()
