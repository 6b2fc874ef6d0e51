"""MLflow's pages as their reader has them: in Chromium, on a sweep of the toy study, behind ``sweep ui``.

``python -m tests.screenshots`` opens the same pages of any sweep, for the docs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support import cli
from tests.support.browser import Browser, absent
from tests.support.cli import sweep
from tests.support.paths import QUADRATIC

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(absent()), reason=absent())]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep of three trials."""
    folder = tmp_path_factory.mktemp("pages")
    done = sweep("run", QUADRATIC, "--name", "toy", "--trials", "3", "--workers", "0", "--pruner", "none", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(place: Path) -> Iterator[dict[str, str]]:
    """The addresses that ``sweep ui`` prints; its processes and ports are looked at meanwhile."""
    with cli.pages(place, "toy") as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


def listening_at(process: psutil.Process) -> list[Any]:
    return [place for place in process.net_connections("inet") if place.status == "LISTEN"]


def test_the_server_is_small_and_on_loopback_only(pages: dict[str, str]) -> None:
    port = urlsplit(pages["trials"]).port
    families = [[child, *child.children(recursive=True)] for child in psutil.Process().children()]
    (family,) = [  # other tests of this process may have servers of MLflow too
        family for family in families if any(place.laddr.port == port for one in family for place in listening_at(one))
    ]
    servers = [one for one in family if "mlflow" in " ".join(one.cmdline())]
    listening = [place for one in servers for place in listening_at(one)]
    assert {place.laddr.ip for place in listening} == {"127.0.0.1"}
    assert len(servers) <= 3, "no job runner, and one worker"


def test_the_trials_come_best_first_under_names_that_tell(pages: dict[str, str], browser: Browser) -> None:
    browser.open(pages["trials"])
    browser.wait_for("trial 0 · distance")
    text = browser.text()
    for word in ("trial 1 · distance", "trial 2 · distance", "tags.sweep = 'toy'", "3 matching runs"):
        assert word in text or word in browser.source()
    values = [float(name.split("distance ")[1].split(" ")[0]) for name in browser.links("trial ")]
    assert values == sorted(values)


def test_the_charts_that_matter_come_first(pages: dict[str, str], browser: Browser) -> None:
    browser.open(pages["trials"] + "&compareRunsMode=CHART")
    for words in ("samples/fresh", "Parallel Coordinates", "seconds"):
        browser.wait_for(words)
    text = browser.text()
    places = [text.index(f"\n{words}\n") for words in ("the sweep", "distance", "noise", "samples/fresh", "seconds")]
    assert places == sorted(places)


def test_the_sweep_tells_where_it_stands_and_leads_to_its_best_trial(pages: dict[str, str], browser: Browser) -> None:
    browser.open(pages["sweep"])
    browser.wait_for("3 of 3 trials finished: 3 complete.")
    browser.press("Show more")
    browser.wait_for("Best trials (distance: lower is better)")
    browser.wait_for_picture("best_samples.png")
    browser.follow("trial\N{NO-BREAK SPACE}")
    browser.wait_for("(lower is better)")
    assert "a trial of the sweep" in browser.text() and "x = " in browser.text()


def test_a_trial_has_its_curves_and_its_pictures(pages: dict[str, str], browser: Browser) -> None:
    browser.open(pages["trials"])
    browser.wait_for("trial 0 · distance")
    browser.follow("trial 0 · distance")
    browser.wait_for("About this run")
    browser.press("Model metrics")
    browser.wait_for("distance")
    browser.wait_for("samples")
    browser.wait_for_picture("get-artifact")
