"""A row of the table of faults."""

from typing import NamedTuple


class Row(NamedTuple):
    """A fault, how many times it was tried, how often the sweep survived it, and what was lost."""

    fault: str
    tried: int
    survived: int
    lost: str  # in words, such as "nothing" or "2 runs"

    def markdown(self) -> str:
        """The row as Markdown."""
        return f"| {self.fault} | {self.tried} | {self.survived} | {self.lost} |"


HEAD = "| fault | tried | survived | lost |\n|---|---|---|---|"
