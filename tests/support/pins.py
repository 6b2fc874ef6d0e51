"""The exact versions that are tested are listed once, in pyproject.toml under `[tool.uv]`.

pip reads `constraints.txt` and `mlflow run` reads `conda.yaml`. Both are written from that list:

    python -m tests.support.pins
"""

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import PYPROJECT, ROOT

PINS: list[str] = PYPROJECT["tool"]["uv"]["constraint-dependencies"]

HEADING = """\
# What is tested, exactly: pip install -e . -c constraints.txt
# Do not edit: `python -m tests.support.pins` writes this file from the list under [tool.uv] in pyproject.toml.
"""
PIP_LIST = re.compile(r"(?<=  - pip:\n)(?:      - .*\n)+")


def applies(requirement: Requirement, python: str) -> bool:
    """Whether a requirement holds for a version of Python, such as "3.11"."""
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python})


def constraints() -> str:
    """The text of `constraints.txt`."""
    return HEADING + "".join(f"{pin}\n" for pin in PINS)


def conda(current: str) -> str:
    """The text of `conda.yaml`: as it is, with the pinned runtime dependencies as its pip list."""
    python = re.search(r"- python=(3\.\d+)", current)
    assert python, "conda.yaml names its Python as `python=3.x.y`"
    return PIP_LIST.sub("".join(f"      - {pin}\n" for pin in _runtime_pins(python[1])), current)


def _runtime_pins(python: str) -> Iterator[str]:
    runtime = {canonicalize_name(Requirement(line).name) for line in PYPROJECT["project"]["dependencies"]}
    for pin in map(Requirement, PINS):
        if canonicalize_name(pin.name) in runtime and applies(pin, python):
            yield f"{pin.name}{pin.specifier}"


def write(folder: Path) -> None:
    (folder / "constraints.txt").write_text(constraints())
    environment = folder / "conda.yaml"
    environment.write_text(conda(environment.read_text()))


if __name__ == "__main__":
    write(ROOT)
