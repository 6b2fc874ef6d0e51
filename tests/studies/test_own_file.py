"""A study file of the user's own that does not run is refused in one sentence, with the file and the line."""

import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

import studies
from studies import StudyError
from tests.support.paths import QUADRATIC
from tests.support.processes import environment

BROKEN: list[tuple[str, bytes, str]] = [
    ("a bracket", b"x = (\n", "{file}, line 1: SyntaxError: '(' was never closed; change that line"),
    ("an indent", b"x = 1\n  y = 2\n", "{file}, line 2: SyntaxError: unexpected indent; change that line"),
    (
        "an import",
        b"\nimport absent_library\n",
        "{file}, line 2: ModuleNotFoundError: No module named 'absent_library'; install what it names, or change that line",
    ),
    (
        "a name of a module",
        b"from models.env import absent\n",
        "{file}, line 1: ImportError: cannot import name 'absent'",
    ),
    ("a name", b"x = 1\n\ny = absent\n", "{file}, line 3: NameError: name 'absent' is not defined; change that line"),
    ("an attribute", b"().absent\n", "{file}, line 1: AttributeError: 'tuple' object has no attribute 'absent'"),
    ("a call", b"def f():\n    return 1 / 0\n\nf()\n", "{file}, line 2: ZeroDivisionError: division by zero"),
    (
        "an exit",
        b"import sys\nsys.exit(3)\n",
        "{file}, line 2: it ends the program where it should only define a STUDY",
    ),
    ("a lack", b"from studies import Study\nSTUDY = Study()\n", "{file}, line 2: TypeError: Study.__init__() missing"),
    ("no study", b"x = 1\n", "'{file}' defines no STUDY = Study(...); studies/ebm.py shows the shape"),
    ("nothing", b"", "'{file}' defines no STUDY"),
    ("a program", bytes(range(256)), "{file} is no Python text ("),
    ("another encoding", b"x = '\xe9\xe8'\n", "{file} is no Python text ("),
]


@pytest.mark.parametrize(("content", "sentence"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_file_that_does_not_run_is_refused_with_the_line(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "mine.py"
    file.write_bytes(content)
    with pytest.raises(StudyError) as refused:
        studies.load(str(file))
    text = str(refused.value)
    assert text.startswith(sentence.replace("{file}", str(file))) and "\n" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"], "nothing is left beside it"


def test_a_file_that_another_one_breaks_is_refused_with_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_helper.py").write_text("x = (\n")
    (tmp_path / "mine.py").write_text("import broken_helper\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(StudyError, match=r"broken_helper\.py, line 1: SyntaxError"):
        studies.load(str(tmp_path / "mine.py"))


def test_a_folder_is_no_study(tmp_path: Path) -> None:
    (tmp_path / "mine.py").mkdir()
    with pytest.raises(StudyError, match="is a folder; name a Python file in it"):
        studies.load(str(tmp_path / "mine.py"))


def test_a_study_leaves_no_bytecode_and_bytecode_is_written_as_before(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_bytes(Path(QUADRATIC).read_bytes())
    code = "import sys, studies; studies.load('mine.py'); print(sys.dont_write_bytecode)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment() | {"PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n" and [path.name for path in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("return Config()\n", "return Confg()\n", "NameError: name 'Confg' is not defined; change that line"),
        ("return Config()\n", "return 7\n", "base returns int and not Config; return that"),
        ("return base.model_copy", "return bas.model_copy", "NameError: name 'bas' is not defined"),
        ("return base.model_copy(", "return dict(", "space returns dict and not Config"),
    ],
)
def test_a_recipe_or_a_space_that_is_not_written_well_is_a_sentence(
    before: str, after: str, message: str, tmp_path: Path
) -> None:
    source = Path(QUADRATIC).read_text()
    assert before in source
    file = tmp_path / "mine.py"
    file.write_text(source.replace(before, after, 1))
    study = studies.load(str(file))
    with pytest.raises(StudyError, match=re.escape(message)):
        base = study.base((1, 8, 8))
        study.space(Mock(suggest_float=lambda *limits: 0.5), base)
