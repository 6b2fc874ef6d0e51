"""Who drives a sweep, where its folder was copied while it ran."""

import os
import shutil
import socket
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


@pytest.mark.parametrize(
    ("said", "there"),
    [([], False), ([{"beat": 8}], True), ([None], False)],
    ids=["it says nothing", "it beats", "it says goodbye"],
)
@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_a_supervisor_elsewhere_or_of_before_the_clock_was_set_is_there_while_it_is_heard(
    host: str, said: list[dict[str, int] | None], there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = lease.Driver(token="t", host=host, process=os.getpid(), started=0.0, since="now", beat=7)

    class Notes:
        """What is kept with the sweep."""

        def notes(self) -> dict[str, object]:
            word = said[0] if said else {}
            return {lease.DRIVER: word if word is None else who.model_copy(update=word).model_dump(mode="json")}

    monkeypatch.setattr(lease, "SILENT_SECONDS", 0.2)
    assert lease.alive(Notes(), who) is there  # type: ignore[arg-type]
