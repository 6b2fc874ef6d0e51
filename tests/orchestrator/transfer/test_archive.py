"""The file of a packed sweep: what is damaged, foreign, newer or leads elsewhere is refused, and nothing is made."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.errors import UserError
from orchestrator.transfer import archive
from orchestrator.transfer.archive import MANIFEST, Manifest

Change = Callable[[Path], None]


@pytest.fixture
def packed(folder: Path) -> Path:
    """A packed home of three files, with a manifest."""
    home = folder / "home"
    (home / ".sweeps/toy").mkdir(parents=True)
    for name in ("sweeps.db", "mlflow.db", ".sweeps/toy/weights.safetensors"):
        (home / name).write_bytes(name.encode() * 1000)
    manifest = Manifest(version="1", name="toy", id="a" * 32, experiment="toy", model=False, trials=1, runs=2)
    archive.write(home, folder / "toy.zip", manifest)
    return folder / "toy.zip"


def rewritten(path: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    """Write a zip anew, each file as ``change`` makes it of its name and content."""
    with zipfile.ZipFile(path) as source:
        entries = [(name, source.read(name)) for name in source.namelist()]
    with zipfile.ZipFile(path, "w") as target:
        for entry in entries:
            if changed := change(*entry):
                target.writestr(*changed)


def rename(before: str, after: str) -> Change:
    return lambda path: rewritten(path, lambda name, content: (after if name == before else name, content))


def manifest(**changes: object) -> Change:
    def change(name: str, content: bytes) -> tuple[str, bytes]:
        return name, json.dumps({**json.loads(content), **changes}).encode() if name == MANIFEST else content

    return lambda path: rewritten(path, change)


def drop(lost: str) -> Change:
    return lambda path: rewritten(path, lambda name, content: None if name == lost else (name, content))


def other(path: Path) -> None:
    rewritten(path, lambda name, content: (name, content[:-1] + b"x" if name == "sweeps.db" else content))


def link(path: Path) -> None:
    def changed(name: str, content: bytes) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o120777 << 16 if name == "sweeps.db" else 0
        target.writestr(info, content)

    with zipfile.ZipFile(path) as source:
        entries = [(name, source.read(name)) for name in source.namelist()]
    with zipfile.ZipFile(path, "w") as target:
        for entry in entries:
            changed(*entry)


def flip(at: float) -> Change:
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        for i in range(40):
            content[int(at * len(content)) + i] ^= 0xFF
        path.write_bytes(content)

    return change


BAD: dict[str, tuple[Change, str]] = {
    "cut in the middle": (
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) and None,
        "damaged",
    ),
    "cut at its end": (lambda path: path.write_bytes(path.read_bytes()[:-10]) and None, "damaged"),
    "empty": (lambda path: path.write_bytes(b"") and None, "no packed sweep"),
    "text": (lambda path: path.write_text("hello") and None, "no packed sweep"),
    "bytes changed": (flip(0.4), "damaged"),
    "content changed": (other, "checksum"),
    "a file is lost": (drop("mlflow.db"), "damaged"),
    "another zip": (drop(MANIFEST), "no packed sweep"),
    "another program": (manifest(program="another"), "no packed sweep"),
    "newer": (manifest(format=2, version="9.9"), "newer version"),
    "a name that leads out": (manifest(name="../toy"), "no packed sweep"),
    "above": (rename("sweeps.db", "../sweeps.db"), "no file below the folder"),
    "absolute": (rename("sweeps.db", "/tmp/sweeps.db"), "no file below the folder"),
    "above, further down": (rename("sweeps.db", ".sweeps/../../sweeps.db"), "no file below the folder"),
    "of Windows": (rename("sweeps.db", "C:\\sweeps.db"), "no file below the folder"),
    "a link": (link, "no file below the folder"),
    "larger than it says": (manifest(bytes=10), "damaged"),
}


def unpack(path: Path, to: Path) -> None:
    to.mkdir()
    archive.extract(path, to, archive.read(path))


def test_what_was_written_is_read(packed: Path, folder: Path) -> None:
    unpack(packed, folder / "out")
    for path in (folder / "home").rglob("*"):
        if path.is_file():
            assert (folder / "out" / path.relative_to(folder / "home")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("change, why", BAD.values(), ids=list(BAD))
def test_a_file_that_is_no_whole_packed_sweep_is_refused(packed: Path, folder: Path, change: Change, why: str) -> None:
    change(packed)
    with pytest.raises(UserError, match=why):
        unpack(packed, folder / "out")
    assert not (folder / "sweeps.db").exists() and not Path("/tmp/sweeps.db").exists()


@pytest.mark.parametrize(
    "name, why",
    [("gone.zip", "there is no file"), ("home", "is a folder"), ("/dev/zero", "no regular"), ("pipe", "no regular")],
)
def test_the_command_refuses_in_one_sentence_and_makes_nothing(packed: Path, folder: Path, name: str, why: str) -> None:
    os.mkfifo(folder / "pipe")
    before = sorted(folder.rglob("*"))
    done = CliRunner().invoke(main, ["unpack", name])
    assert done.exit_code == 2 and why in done.output and "Traceback" not in done.output
    assert sorted(folder.rglob("*")) == before
