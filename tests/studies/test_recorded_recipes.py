"""Recipes and defaults change on purpose only: a sweep of before that is to go on with others asks for --accept-drift."""

import json

import pytest

import studies
from tests.support.recipes import FILE, LIMITS, limits, recipes

ON_PURPOSE = "if this is on purpose, run `python -m tests.support.recipes` and say why in CHANGELOG.md"


@pytest.mark.parametrize("name", studies.names())
def test_the_recipes_of_a_study_are_those_that_were_recorded(name: str) -> None:
    assert recipes(name) == json.loads(FILE.read_text())[name], ON_PURPOSE


def test_settings_may_be_what_was_recorded() -> None:
    """What is refused is refused before anything starts, and what a sweep of before has is taken."""
    assert limits() == json.loads(LIMITS.read_text()), ON_PURPOSE
