"""`sweep doctor` leaves alone what is whole."""

import io
import os
import re
import shutil
from typing import Any

import pytest
from rich.console import Console

from orchestrator import layout, text
from orchestrator.repair import doctor
from tests.support.clinic import Clinic, everything


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"set": ["mode=diverge"]},
        {"set": ["mode=crash"]},
        {"set": ["mode=hungry"]},
        {"asked": 1},
        {"asked": 12},
        {"asked": 14},
        {"asked": 12, "deterministic": True},
        {"trials": 9, "pruner": "asha", "set": ["steps=20"]},
    ],
    ids=str,
)
def test_what_is_whole_is_told_in_a_line_and_not_touched(clinic: Clinic, options: dict[str, Any]) -> None:
    clinic.run(**options)
    before = everything()
    for repair in (False, True):
        status, lines = clinic.doctor(repair)
        assert status == 0 and re.match(r"toy: whole \(\d trials?, \d+ runs\)$", lines[0]), lines
        left = len(clinic.book.trials_running())
        waits = f"{left} trials wait" if left > 1 else "1 trial waits"
        assert lines[1:] == ([f"toy: {waits} for `{text.program()} resume toy`"] if left else [])
    assert everything() == before


def test_one_checkpoint_of_two_is_enough(clinic: Clinic) -> None:
    clinic.run(asked=12)
    (left,) = clinic.book.trials_running()
    path = clinic.at(left.number) / layout.CHECKPOINT
    shutil.copy(path, path.with_name(layout.PREVIOUS_CHECKPOINT))
    os.truncate(path, 100)
    assert clinic.doctor()[0] == 0


def test_nothing_here(clinic: Clinic) -> None:
    output = io.StringIO()
    assert doctor.visit([], False, Console(file=output)) == 0
    assert output.getvalue().startswith("no sweeps here yet")
