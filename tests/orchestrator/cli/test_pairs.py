"""Settings on a command line, several at once, and paths among them."""

import pytest

from orchestrator.cli.options import Pairs


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=1", ["a=1"]),
        ("a=1,b=2 c=3, ", ["a=1", "b=2", "c=3"]),
        ("a=1,b", ["a=1", "b"]),
        ("file=/my weights, 1.pt,a=1", ["file=/my weights, 1.pt", "a=1"]),
        ("a=1 file=./two  spaces/x", ["a=1", "file=./two  spaces/x"]),
    ],
)
def test_a_path_keeps_its_spaces_and_commas(text: str, pairs: list[str]) -> None:
    assert Pairs().convert(text, None, None) == pairs
