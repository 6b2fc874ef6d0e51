"""The pictures of MLflow's pages in the docs:  python -m tests.screenshots FOLDER NAME docs/

The sweep NAME in FOLDER is shown by `sweep ui`, and looked at in Chromium.
"""

import sys
import time
from pathlib import Path

from tests.support.browser import Browser, absent
from tests.support.cli import pages as served


def main(folder: Path, name: str, output: Path) -> None:
    """Four pictures: the trials, their charts, the sweep's own page, and its best trial's."""
    with served(folder, name) as pages, Browser() as browser:

        def keep(what: str, seconds: float = 4.0) -> None:
            time.sleep(seconds)  # charts and pictures come after the words
            browser.calm()
            browser.keep(output / f"pages_{what}.png")

        browser.open(pages["trials"])
        browser.wait_for("trial ")
        keep("trials")
        browser.open(pages["trials"] + "&compareRunsMode=CHART")
        browser.wait_for("the sweep")
        keep("charts", 10)
        browser.open(pages["sweep"])
        browser.wait_for("Description")
        browser.press("Show more")
        keep("sweep")
        browser.follow("trial\N{NO-BREAK SPACE}")
        browser.wait_for("a trial of the sweep")
        keep("trial")


if __name__ == "__main__":
    if absent():
        raise SystemExit(absent())
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
