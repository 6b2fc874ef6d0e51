"""How long a sweep takes is estimated for the trials that it will have."""

from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from orchestrator.search import plan
from orchestrator.search.options import request
from orchestrator.supervisor import estimate
from tests.support.bench import Bench


def test_what_is_held_counts(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Images of 13×13 cannot be halved, which the recipe would do: only with what is held is there a pass to be timed."""
    x, y = np.random.RandomState(0).randint(0, 256, (80, 13, 13)).astype(np.uint8), np.arange(80) % 2
    np.savez(tmp_path / "odd.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    changes = ["mixing=checkerboard", "scales=1", "steps=2", "updates=3"]
    spec = plan.resolve(request("flow", data=f"npz:{tmp_path}/odd.npz", trials=1, set=changes), bench.storage)
    assert spec.base["mixing"] != "checkerboard" == estimate.timed(spec)["mixing"]
    monkeypatch.setattr(estimate.signal, "signal", lambda *_: None)  # this process goes on to hear Ctrl-C
    receiver, sender = Pipe(duplex=False)
    estimate._send_seconds(sender, "flow", estimate.timed(spec), spec.image_shape, "cpu", 1)
    assert receiver.recv() > 0
    estimate._send_seconds(sender, "flow", spec.base, spec.image_shape, "cpu", 1)
    assert receiver.recv() is None, "a pass that fails is no traceback in the plan"
    assert "Traceback" not in capfd.readouterr().err
