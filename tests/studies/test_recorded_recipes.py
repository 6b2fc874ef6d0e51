"""Recipes and defaults change on purpose only: a sweep of before that is to go on with others asks for --accept-drift."""

import json

import pytest

import studies
from tests.support.recipes import FILE, recipes


@pytest.mark.parametrize("name", studies.names())
def test_the_recipes_of_a_study_are_those_that_were_recorded(name: str) -> None:
    recorded = json.loads(FILE.read_text())[name]
    assert recipes(name) == recorded, (
        "if this is on purpose, run `python -m tests.support.recipes` and say why in CHANGELOG.md"
    )
