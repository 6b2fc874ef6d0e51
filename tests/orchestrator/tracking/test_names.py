"""Values that are too long for MLflow say so, and names keep apart."""

import pytest

from orchestrator.tracking import names


@pytest.mark.parametrize("length", [0, 1, 5_999, 6_000])
def test_a_value_that_fits_stays_as_it_is(length: int) -> None:
    assert names.value("v" * length, names.LONGEST_PARAM) == "v" * length


def test_a_value_that_is_cut_says_how_long_it_was() -> None:
    cut = names.value("v" * 9_000, names.LONGEST_TAG)
    assert len(cut) == 8_000 and cut.endswith("vv … (9000 letters in all)")


def test_long_names_of_data_sets_stay_apart() -> None:
    one, two = (names.data_set(f"folder:/{'long/' * 120}{end}") for end in ("a", "b"))
    assert len(one) <= 500 and one != two
    assert names.data_set("folder:/short") == "folder:/short"


def test_a_metric_of_two_lines_has_one() -> None:
    assert "\n" not in names.metric("loss\n") and names.metric("loss\n") != names.metric("loss")
