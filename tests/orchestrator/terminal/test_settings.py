"""The table of settings that `sweep studies NAME` prints."""

from typing import Literal

import pytest
from pydantic import BaseModel, Field
from rich.console import Console

import studies
from orchestrator.terminal import tables


class Settings(BaseModel):
    """One setting of each kind."""

    labels: Literal["none", "critic", "both"] = Field("none", description="label conditioning")
    optimizer: Literal["adam", "rmsprop"] | None = Field(None, description="of both networks")
    width: int | None = Field(8, description="channels")
    searched: int = 1


def printed(config: BaseModel, searched: set[str]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(tables.settings(config, searched))
    return capture.get()


def test_a_setting_that_takes_one_of_several_values_shows_their_names() -> None:
    text = printed(Settings(), {"searched"})
    assert "none | critic | both: label conditioning" in text
    assert "adam | rmsprop: of both networks" in text
    assert "8     channels" in text and "searched" not in text


@pytest.mark.parametrize("name", studies.names())
def test_every_setting_of_a_study_has_a_description(name: str) -> None:
    fields = studies.load(name).config.model_fields
    assert [field for field in fields if not fields[field].description] == []
