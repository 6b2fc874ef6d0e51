"""Who drives a sweep, where its folder was copied while it ran."""

import shutil
from pathlib import Path

import pytest

from orchestrator import sweep
from orchestrator.search import book as books
from orchestrator.stores import optuna_storage
from orchestrator.supervisor import lease
from tests.support.paths import QUADRATIC


def test_a_copy_that_was_made_while_a_sweep_ran_is_driven_by_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, copy = folder / "original", folder / "copy"
    original.mkdir()
    monkeypatch.chdir(original)
    sweep.run(QUADRATIC, name="toy", trials=1, workers=0, set={"steps": 2}, quiet=True)
    book = books.load(optuna_storage.meant(None), "toy")
    with lease.acquire_lease(book):
        shutil.copytree(original, copy)
        assert lease.present(book) is not None
        monkeypatch.chdir(copy)
        copied = books.load(optuna_storage.meant(None), "toy")
        assert copied.spec.folder == str(copy / ".sweeps" / "toy")
        assert lease.present(copied) is None
        with lease.acquire_lease(copied):
            assert lease.present(copied) is not None
    assert sweep.load("toy").resume(trials=2, workers=0, quiet=True)
