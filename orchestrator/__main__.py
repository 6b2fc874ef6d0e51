"""``python -m orchestrator`` is ``sweep``."""

import gc
import sys

from orchestrator import collector, outputs
from orchestrator.cli.main import main


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
        gc.freeze()  # looking through all that was imported would take as long again on leaving


if __name__ == "__main__":
    start()
