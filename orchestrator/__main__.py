"""``python -m orchestrator`` is ``sweep``."""

import gc

from orchestrator import collector
from orchestrator.cli.main import main


def start() -> None:
    """Run the command that was typed, and leave with its exit status."""
    collector.rarely()
    try:
        main(prog_name="sweep")
    finally:
        gc.freeze()  # looking through all that was imported would take as long again on leaving


if __name__ == "__main__":
    start()
