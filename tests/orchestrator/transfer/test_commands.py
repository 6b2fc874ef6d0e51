"""The commands `sweep pack` and `sweep unpack`: what they say of a sweep is what the other commands say of it."""

import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.transfer import workplace
from orchestrator.transfer.pack import WORKPLACE
from tests.support.paths import QUADRATIC
from tests.support.processes import Process


def types(*arguments: str, status: int = 0) -> str:
    """What a command prints, in this process."""
    done = CliRunner().invoke(main, arguments, env={"COLUMNS": "300"})
    assert done.exit_code == status, done.output
    return done.output


def test_a_comparison_that_has_ended_is_the_same_for_pack_unpack_and_doctor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its four trials, two arms and itself have a run each; there is nothing to go on with, but much to look at."""
    Path("first").mkdir()
    Path("second").mkdir()
    monkeypatch.chdir("first")
    types("compare", QUADRATIC, "--name", "arms", "--vary", "steps=2,3", "--seeds", "2", "--workers", "0")
    assert "(4 trials, 7 runs, " in types("pack", "arms")
    assert types("doctor") == "arms: whole (4 trials, 7 runs)\n"
    monkeypatch.chdir("../second")
    (look,) = re.findall(
        "4 of 4 trials finished. Look at it with:  .* (show arms)\n", types("unpack", "../first/arms.zip")
    )
    assert "steps=2" in types(*look.split())
    assert types("doctor") == "arms: whole (4 trials, 7 runs)\n"
    assert "report of arms" in types("report", "arms")


def test_a_sweep_that_has_not_ended_goes_on_by_the_command_that_unpack_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("first").mkdir()
    Path("second").mkdir()
    monkeypatch.chdir("first")
    types("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0")
    types("extend", "toy", "--trials", "2")
    types("pack", "toy")
    monkeypatch.chdir("../second")
    (resume,) = re.findall(
        "1 of 2 trials finished. Go on with:  .* (resume toy)\n", types("unpack", "../first/toy.zip")
    )
    types(*resume.split(), "--workers", "0")
    assert types("doctor") == "toy: whole (2 trials, 3 runs)\n"


def test_unpack_refuses_an_address_of_a_folder_that_is_gone_and_makes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a variable says it that was set before the folder was moved."""
    types("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0")
    types("pack", "toy")
    Path("second").mkdir()
    monkeypatch.chdir("second")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/gone/mlflow.db")
    assert f"mkdir -p {folder}/gone" in types("unpack", "../toy.zip", status=2)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("size", "where"), [("700k", "'toy' cannot be unpacked: "), ("1700k", "")])
def test_unpack_on_a_full_disk_says_so_and_works_when_there_is_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: str, where: str
) -> None:
    """What is packed does not fit; or that fits, and the new stores do not."""
    types("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0")
    types("pack", "toy")
    disk = folder / "second"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    monkeypatch.chdir(disk)
    try:
        output = types("unpack", "../toy.zip", status=2)
        assert where in output and output.count("make room there") == 1, output
        assert not list(Path().glob(".sweeps/*"))
        subprocess.run(["mount", "-o", "remount,size=48m", disk], check=True)
        assert "1 of 1 trials finished" in types("unpack", "../toy.zip")
    finally:
        monkeypatch.chdir(folder)
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_refused_unpack_makes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No store either. What is in the file is looked at before anything is made."""
    types("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0")
    types("pack", "toy")
    content = bytearray(Path("toy.zip").read_bytes())
    content[len(content) // 2] ^= 4
    Path("damaged.zip").write_bytes(content)
    Path("second").mkdir()
    monkeypatch.chdir("second")
    for words, *arguments in (("is damaged", "../damaged.zip"), ("cannot be a name", "../toy.zip", "--name", "a/b")):
        assert words in types("unpack", *arguments, status=2)
        assert list(Path().iterdir()) == []


def test_unpack_beside_the_files_of_a_sweep_in_another_storage_does_not_say_to_remove_them(folder: Path) -> None:
    types("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0")
    types("pack", "toy")
    output = types("unpack", "toy.zip", "--storage", "sqlite:///other.db", status=2)
    assert "holds files of another sweep, which this storage does not know" in output and "remove" not in output
    assert not Path("other.db").exists()


def test_what_a_killed_pack_left_is_removed_by_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[..., Process]
) -> None:
    """And what another one is making is left alone."""
    types("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0")
    place = folder / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    process = start("pack", "toy")
    process.wait_for(lambda: list(place.glob(f"{WORKPLACE}*/home")))
    process.kill()
    assert list(place.glob(f"{WORKPLACE}*"))
    with workplace.working(WORKPLACE) as other:
        assert list(place.glob(f"{WORKPLACE}*")) == [other]
        types("pack", "toy")
        assert list(place.glob(f"{WORKPLACE}*")) == [other]
    assert list(place.iterdir()) == [] and not Path("toy.zip.part").exists()
