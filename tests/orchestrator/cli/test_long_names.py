"""Names that no file can have are refused in a sentence, wherever they are typed."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main


@pytest.mark.parametrize(
    "words",
    [
        ("unpack", "{}"),
        ("pack", "toy", "-o", "{}"),
        ("studies", "{}.py"),
        ("run", "ebm", "--dry-run", "--storage", "sqlite:///{}.db"),
        ("run", "ebm", "--dry-run", "--set", "inception_weights={}"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused(folder: Path, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [word.format("a" * 5_000) for word in words])
    assert result.exit_code == 2 and "the name is too long for a file; give another" in result.output
