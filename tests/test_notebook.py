"""The notebook of docs/ is followed from its first cell to its last, at toy size."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from models.data import dataset as datasets
from models.parts.evaluation import judge
from models.parts.training import cache
from tests.support import variables
from tests.support.paths import ROOT

TINY = {
    "blocks": 1,
    "width": 4,
    "evaluation_samples": 32,
    "evaluation_length": 1,
    "evaluations": 1,
    "buffer_size": 100,
    "network_evaluations": 120,
}


@pytest.mark.slow
def test_the_notebook_can_be_followed(tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables.unset(monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    cache.at_once(judge.obtain(datasets.load("digits", Path("data")), cache_folder, "cpu"))
    shutil.copytree(cache_folder, tmp_path / ".sweeps" / "cache")
    notebook = nbformat.read(ROOT / "docs" / "first_sweep.ipynb", as_version=4)
    (settings,) = (cell for cell in notebook.cells if cell.cell_type == "code" and "TRIALS = " in cell.source)
    settings.source = f"from orchestrator import sweep\nTRIALS = 2\nSETTINGS = {TINY}"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "seeds=3" in code[-2].source
    code[-2].source = code[-2].source.replace("seeds=3", "seeds=1")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    def shown(index: int) -> set[str]:
        return {kind for output in code[index].outputs for kind in output.get("data", {})}

    said = "".join(output.get("text", "") for output in code[1].outputs)
    assert "2/2 finished" in said and "\x1b" not in said, "plain lines, without a terminal's colours"
    assert "text/html" in shown(2) and "text/html" in shown(3)
    assert all("image/png" in shown(index) for index in (4, 5, 7))
    assert "image/png" in shown(-2), "the figure of the comparison"
    assert (tmp_path / "first.html").stat().st_size > 100_000
    assert sorted(os.listdir(tmp_path / ".sweeps")) == ["cache", "first", "starts"]
