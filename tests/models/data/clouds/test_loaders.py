"""Point clouds in the layouts in which they are published, small ones written here."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from models.data import kinds
from models.data.arrays import DataError
from models.data.clouds import dataset, meshes
from models.data.clouds.shapes import CLASSES, instance
from models.points import metrics

TETRAHEDRON = "4 4 6\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
CUBE = "OFF\n8 6 12\n" + "".join(f"{x} {y} {z}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1))
CUBE += "4 0 1 3 2\n4 4 6 7 5\n4 0 4 5 1\n4 2 3 7 6\n4 0 2 6 4\n4 1 5 7 3\n"


def clouds(n: int, points: int = 200) -> np.ndarray:
    return np.random.RandomState(1).normal(size=(n, points, 3)).astype(np.float32)


def modelnet40c(folder: Path) -> Path:
    """Twenty clouds of two classes, and two of the noisy files; background adds points."""
    np.save(folder / "data_original.npy", clouds(20))
    np.save(folder / "label.npy", (np.arange(20) % 2)[:, None].astype(np.uint8))
    np.save(folder / "data_gaussian_3.npy", clouds(20) + np.arange(20, dtype=np.float32)[:, None, None])
    np.save(folder / "data_background_1.npy", clouds(20, 204))
    return folder


def modelnet40(folder: Path) -> Path:
    h5py = pytest.importorskip("h5py", reason="the extra modelnet brings it")
    for name, n in (("train0", 20), ("train1", 10), ("test0", 6)):
        with h5py.File(folder / f"ply_data_{name}.h5", "w") as file:
            file["data"] = clouds(n)
            file["label"] = (np.arange(n) % 3)[:, None].astype(np.uint8)
    (folder / "shape_names.txt").write_text("airplane\nbathtub\nbed\n")
    return folder


def off(folder: Path) -> Path:
    for name, text in (("cube", CUBE), ("tetrahedron", f"OFF{TETRAHEDRON}")):  # as in some files of ModelNet
        (folder / name / "train").mkdir(parents=True)
        for number in range(4):
            (folder / name / "train" / f"{name}_{number}.off").write_text(text)
    return folder


def xyz(folder: Path) -> Path:
    for number, cloud in enumerate(clouds(5, 220)):
        np.savetxt(folder / f"{number}.xyz", cloud[: 200 + number])
    return folder


@pytest.mark.parametrize(
    ("kind", "write", "sizes", "classes", "points"),
    [
        ("modelnet40c", modelnet40c, (16, 2, 2), ("0", "1"), 200),
        ("modelnet40", modelnet40, (27, 3, 6), ("airplane", "bathtub", "bed"), 200),
        ("off", off, (4, 2, 2), ("cube", "tetrahedron"), 2048),
        ("xyz", xyz, (3, 1, 1), None, 200),
    ],
)
def test_a_published_layout_is_read(kind: str, write, sizes, classes, points: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = dataset.load(f"{kind}:{write(tmp_path)}", Path("data"))
    assert tuple(data.sizes.values()) == sizes and data.shape == (points, 3)
    assert data.classes == (classes or (tmp_path.name,)) and data.used.name == data.name
    for split in (data.train, data.validation, data.test):
        assert split.clouds.shape[1:] == (points, 3) and len(split.labels) == len(split)
        farthest = split.clouds.norm(dim=2).amax(1)
        assert bool((farthest <= 1 + 1e-4).all())
        assert bool((farthest > 0.5).all())
    assert bool(data.notes) == (kind != "off")
    assert dataset.load(data.name, Path("data")).digest == data.digest


def test_points_of_a_mesh_lie_on_its_exact_triangles(tmp_path: Path) -> None:
    data = dataset.load(f"off:{off(tmp_path)}", Path("data"))
    for index, label in enumerate(data.train.labels.tolist()):
        triangles = data.train.surface(index)
        assert triangles is not None and len(triangles) == {"cube": 12, "tetrahedron": 4}[data.classes[label]]
        assert float(metrics.to_surface(data.train.clouds[index], triangles).max()) < 1e-7


def test_stored_noisy_clouds_stay_with_their_shapes(tmp_path: Path) -> None:
    """Cloud i of the file was moved by i: so it is known whose each is."""
    data = dataset.load(f"modelnet40c:{modelnet40c(tmp_path)}", Path("data"))
    original = clouds(20)
    for split in (data.validation, data.test):
        assert set(split.stored) == {"gaussian_3", "background_1"}
        for cloud, noisy, label in zip(split.arrays, split.stored["gaussian_3"], split.classes, strict=True):
            number = min(range(20), key=lambda index: float(np.abs(noisy - original[index] - index).mean()))
            assert number % 2 == label
            centred = original[number] - original[number].mean(0)
            assert np.abs(cloud - centred / np.linalg.norm(centred, axis=1).max()).max() < 1e-4


def test_shapes_are_the_same_for_everyone_and_no_shape_is_in_two_splits() -> None:
    data = dataset.load("shapes", Path("data"))
    assert tuple(data.sizes.values()) == (512, 64, 64) and data.classes == tuple(CLASSES)
    assert dataset.load("shapes", Path("elsewhere")).digest == data.digest
    everything = np.concatenate([data.train.arrays, data.validation.arrays, data.test.arrays])
    assert len({cloud.tobytes() for cloud in everything}) == len(everything)
    for split in (data.train, data.validation, data.test):
        assert np.bincount(split.classes).min() == len(split) // 8
    points, triangles = instance("ring", 3)
    assert float(metrics.to_surface(torch.from_numpy(points), torch.from_numpy(triangles)).max()) < 1e-7


def test_points_are_uniform_over_a_mesh() -> None:
    """Of two triangles, one of three times the area gets three quarters of the points; the mean of a triangle is its centre."""
    mesh = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 5], [3, 0, 5], [0, 1, 5]]], float)
    points = meshes.sample(mesh, 20_000, np.random.RandomState(0))
    upper = points[:, 2] > 1
    assert upper.mean() == pytest.approx(0.75, abs=0.01)
    assert points[upper].mean(0) == pytest.approx([1, 1 / 3, 5], abs=0.02)
    assert meshes.areas(mesh) == pytest.approx([0.5, 1.5])


@pytest.mark.parametrize(
    ("spec", "kind", "sentence"),
    [
        ("digits", "clouds", "'digits' holds images, and this study reads point clouds: shapes, modelnet40:FOLDER"),
        ("halved:mnist", "clouds", "'halved:mnist' holds images"),
        ("shapes", "images", "'shapes' holds point clouds, and this study reads images: digits, persian"),
        ("off:somewhere", "images", "'off:somewhere' holds point clouds"),
        ("shape", "clouds", "no point clouds 'shape'; there are: shapes, modelnet40:FOLDER"),
        ("shapes:x", "clouds", "no point clouds 'shapes:x'"),
        ("off:", "clouds", "'off:' says not where the clouds are; write off:FOLDER"),
        ("off:nowhere", "clouds", "there is no folder 'nowhere'"),
        ("modelnet40:nowhere", "clouds", "has no ply_data_train\\*.h5"),
        ("modelnet40c:nowhere", "clouds", "has no data_original.npy"),
    ],
)
def test_data_of_another_kind_and_absent_ones_are_refused_in_one_sentence(spec: str, kind: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        kinds.load(spec, Path("data"), kind)


def test_a_name_of_no_kind_is_refused_with_the_near_miss() -> None:
    with pytest.raises(
        DataError, match="no data set 'shaped'; did you mean shapes\\? there are images: digits.*clouds: sh"
    ):
        kinds.check_name("shaped")
    with pytest.raises(DataError, match="'halved:shapes' would halve point clouds, .*; write shapes"):
        kinds.check_name("halved:shapes")
    kinds.check_name("off:folder")
    assert kinds.is_path("xyz:a,b") and kinds.is_named("shapes") and not kinds.is_named("final")


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("a.off", "PLY", "does not begin with OFF"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n", "is not a whole mesh"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n", "has no triangle with an area"),
        ("a.xyz", "x y z\n", "holds no points"),
        ("a.xyz", "0 0 0\n1 1 1\n", "has 2 points; leave out clouds of fewer than 192"),
        ("a.xyz", "0 0 nan\n" * 200, "xa.xyz: a coordinate is no finite number"),
        ("a.xyz", "1e200 0 0\n" + "0 0 0\n" * 200, "xa.xyz: a coordinate is no finite number, or too large"),
        ("a.xyz", "0 0 0\n1 0 0\n" * 100, "xa.xyz has 200 points at 2 places, as where .* leave out clouds of fewer"),
        ("a.xyz", "0 0 0\n" * 200, "xa.xyz: all points are at one place"),
    ],
)
def test_a_damaged_file_is_named(file: str, text: str, sentence: str, tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        (tmp_path / f"{name}{file}").write_text(text)
    with pytest.raises(DataError, match=sentence):
        dataset.load(f"{file[2:]}:{tmp_path}", Path("data"))


def test_too_few_clouds_and_other_shapes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.off").write_text(CUBE)
    with pytest.raises(DataError, match="has too few clouds, 1: add some, at least three of each class, 3 in all"):
        dataset.load(f"off:{tmp_path}", Path("data"))
    np.save(tmp_path / "data_original.npy", clouds(6, 20))
    np.save(tmp_path / "label.npy", np.zeros(6))
    with pytest.raises(DataError, match="clouds of shape \\(6, 20, 3\\)"):
        dataset.load(f"modelnet40c:{tmp_path}", Path("data"))


def test_a_split_is_a_value() -> None:
    data = dataset.load("shapes", Path("data"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]
