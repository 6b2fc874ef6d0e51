"""Inception is read from a file that the user has, and refused in one sentence where there is none."""

from pathlib import Path

import pytest
import torch

from models.data.dataset import DataError
from models.data.torchvision_fix import declare_missing_operators
from models.parts.evaluation import inception


def test_what_is_no_file_or_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inception.refuse(None)
    with pytest.raises(DataError, match="there is no such file; give torch-fidelity's Inception weights, or none"):
        inception.refuse(str(tmp_path / "none.pth"))
    (tmp_path / "some.pth").write_bytes(b"no weights")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"needs torch-fidelity, .*: pip install 'generative-sweeps\[inception\]'"):
        inception.refuse(str(tmp_path / "some.pth"))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    declare_missing_operators()
    pytest.importorskip("torch_fidelity")
    damaged, other = tmp_path / "damaged.pth", tmp_path / "other.pth"
    damaged.write_bytes(b"no weights")
    torch.save({"weight": torch.zeros(2)}, other)
    for path in (damaged, other):
        with pytest.raises(DataError, match="holds no weights of torch-fidelity's Inception"):
            inception.fid(str(path), torch.zeros(2, 1, 28, 28), torch.zeros(2, 1, 28, 28), "cpu")


@pytest.mark.long
def test_fid_of_grey_images_in_inceptions_features(tmp_path: Path) -> None:
    """With random weights: the network's form is what is tried, not what it has learned."""
    declare_missing_operators()
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    class Random(fidelity.FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, state: object) -> None:  # type: ignore[override]
            assert state == {}

    torch.manual_seed(0)
    torch.save({}, tmp_path / "empty.pth")
    network = Random("inception-v3-compat", ["2048"], str(tmp_path / "empty.pth"))
    torch.save(network.state_dict(), tmp_path / "random.pth")
    images = torch.rand(6, 1, 28, 28) * 2 - 1
    path = str(tmp_path / "random.pth")
    assert inception.fid(path, images, images, "cpu") == pytest.approx(0, abs=1e-3)
    assert inception.fid(path, images, -images.abs(), "cpu") > inception.fid(path, images, images, "cpu")
