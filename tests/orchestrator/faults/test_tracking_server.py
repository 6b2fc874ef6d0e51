"""The tracking server goes away: training goes on, and everything is delivered once."""

import signal
from collections.abc import Callable

import pytest

from tests.support.faults import EVERY, GATED, HALF, STEP, STEPS, files_only
from tests.support.place import Place
from tests.support.servers import MlflowServer

pytestmark = pytest.mark.slow


@files_only
def test_the_tracking_server_goes_away_and_comes_back(
    place: Place, mlflow_server: Callable[..., MlflowServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle, back after trials have begun and ended: training did not wait, and everything is there once."""
    server = mlflow_server("sqlite")
    use(place, server, monkeypatch)
    process = place.start(*place.run("--trials", "8", *EVERY, **GATED))
    process.wait_for(place.computed(2, step=HALF))
    server.stop(signal.SIGKILL)
    place.open_gate()
    process.wait_for(place.computed(4, step=5))  # no step waits for the server
    place.close_gate()
    assert place.sweep("show", "toy").stdout.count("complete") >= 2
    server.start()
    place.open_gate()
    assert process.finish().returncode == 0, process.output
    assert "could not be delivered" not in process.stdout
    place.check(8, STEPS)
    times = [m.timestamp for m in place.mlflow().get_metric_history(place.runs()["trial 2"].info.run_id, "noise")]
    assert max(times) - min(times) > 0.8 * STEPS * STEP * 1000, "each point has its own time"
    for run in place.runs().values():
        assert run.info.run_name == "toy" or len(place.mlflow().list_artifacts(run.info.run_id, "images")) == 2


@files_only
def test_a_tracking_server_that_stays_away_gets_everything_later(
    place: Place, mlflow_server: Callable[..., MlflowServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = mlflow_server("sqlite")
    use(place, server, monkeypatch)
    process = place.start(*place.run("--trials", "3", *EVERY, **GATED))
    process.wait_for(place.computed(2, step=HALF))
    server.stop(signal.SIGKILL)
    place.open_gate()
    assert process.finish().returncode == 0, process.output
    for text in ("3/3 finished", "deliver them later:  ", " sync toy"):
        assert text in process.stdout
    assert [trial.state.name for trial in place.trials()] == ["COMPLETE"] * 3
    refused = place.sweep("sync", "toy")
    assert refused.returncode == 2 and "Connection refused" in refused.stderr
    server.start()
    done = place.sweep("sync", "toy")
    assert done.returncode == 0, done.stderr
    assert "kB delivered to" in done.stdout
    place.check(3, STEPS)
    assert "nothing waits" in place.sweep("sync", "toy").stdout


def use(place: Place, server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record on this server."""
    place.stores |= {"MLFLOW_TRACKING_URI": server.address, **server.environment}
    for name, value in place.stores.items():
        monkeypatch.setenv(name, value)
