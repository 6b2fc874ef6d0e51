"""AUROC of an energy against other images, on energies of which it is known."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.data import dataset as datasets
from models.data import known
from models.data.arrays import Arrays
from models.data.known import KnownSet
from models.env import Env
from models.parts.evaluation import outliers

ENV = Env("digits")


@pytest.fixture(scope="module")
def digits() -> datasets.Data:
    return datasets.load("digits", Path("data"))


def test_by_hand(digits: datasets.Data) -> None:
    """An energy that counts pixels above 2 in absolute value knows an outlier at once; one that is constant knows nothing."""
    loud = torch.full((10, 1, 8, 8), 3.0)
    found = outliers.auroc(
        lambda x: (x.abs() > 2).flatten(1).sum(1).float(), digits, ENV, 100, {"loud": loud, "quiet": -loud / 3}
    )
    assert found["ood_auroc/loud"] == 1
    assert found["ood_auroc/quiet"] == found["ood_auroc/train"] == found["ood_auroc/noise"] == 0.5
    below = outliers.auroc(lambda x: -x.abs().flatten(1).amax(1), digits, ENV, 100, {"loud": loud})
    assert below["ood_auroc/loud"] == 0, "under one half is told as it is"


def test_strangers_keep_what_they_claim_to_keep(digits: datasets.Data) -> None:
    real = digits.validation.floats()[:50]
    found = outliers.strangers(digits, Path("nowhere"), torch.Generator().manual_seed(0), 50)
    assert set(found) == {"noise", "blank", "inverted", "shuffled", "blended"}
    assert all(images.shape == (50, 1, 8, 8) and images.abs().max() <= 1 for images in found.values())
    assert torch.equal(found["shuffled"].flatten(1).sort(1).values, real.flatten(1).sort(1).values)
    assert not torch.equal(found["shuffled"], real)
    assert float(found["blank"].flatten(1).std(1).max()) < 1e-6 < float(found["blank"].std())
    for name in ("noise", "blank"):  # from black to white, uniformly
        assert found[name].min() < -0.8 and found[name].max() > 0.8 and abs(float(found[name].mean())) < 0.25
    same_order = outliers.strangers(digits, Path("nowhere"), torch.Generator().manual_seed(0), 50)
    assert all(torch.equal(images, same_order[name]) for name, images in found.items())


def test_pixels_of_all_channels_are_shuffled_together(digits: datasets.Data) -> None:
    grey = digits.validation
    colours = datasets.Split(grey.images.expand(-1, 3, -1, -1).contiguous(), grey.labels)
    data = datasets.Data("npz:x", "x", colours, colours, colours, digits.classes, "")
    found = outliers.strangers(data, Path("nowhere"), torch.Generator().manual_seed(0), 20)["shuffled"]
    assert torch.equal(found[:, 0], found[:, 1]) and torch.equal(found[:, 0], found[:, 2])


def test_other_data_sets_that_need_no_download_are_averaged_down_and_damaged_ones_left_out(
    digits: datasets.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stripes(folder: Path) -> Arrays:
        found = known.digits(folder)
        images = found.images.repeat(2, axis=2).repeat(2, axis=3)  # 16×16: averaged down they are the digits again
        return found._replace(images=images)

    def damaged(folder: Path) -> Arrays:
        raise datasets.DataError("the file is damaged; fetch it again")

    monkeypatch.setitem(known.KNOWN, "mnist", KnownSet((1, 16, 16), stripes))
    monkeypatch.setitem(known.KNOWN, "fashion_mnist", KnownSet((1, 28, 28), damaged))
    for kind in ("MNIST", "FashionMNIST"):
        (tmp_path / kind / "raw").mkdir(parents=True)
        for file in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
            (tmp_path / kind / "raw" / f"{file}-ubyte.gz").touch()
    assert datasets.available_offline(tmp_path) == ("digits", "mnist", "fashion_mnist")
    found = outliers.strangers(digits, tmp_path, torch.Generator().manual_seed(0), 30)
    assert "fashion_mnist" not in found
    torch.testing.assert_close(found["mnist"], digits.validation.floats()[:30])
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").unlink()
    assert datasets.available_offline(tmp_path) == ("digits", "fashion_mnist")


def test_energies_in_batches_are_energies(digits: datasets.Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def roughness(x: Tensor) -> Tensor:
        return x.diff(dim=-1).abs().flatten(1).sum(1)

    whole = outliers.auroc(roughness, digits, ENV, 300, {})
    monkeypatch.setattr(outliers, "BATCH", 7)
    assert outliers.auroc(roughness, digits, ENV, 300, {}) == whole
    assert whole["ood_auroc/blank"] == 0 and whole["ood_auroc/shuffled"] > 0.9
