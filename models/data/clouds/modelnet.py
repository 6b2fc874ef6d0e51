"""ModelNet40 as HDF5 files, and ModelNet40-C as arrays: the layouts in which both are published.

Wu et al. 2015 (arXiv:1406.5670); Sun et al. 2022 (arXiv:2201.12296), whose scripts write one file for each corruption and
severity, ``data_gaussian_3.npy``, the clean clouds as ``data_original.npy`` and the classes as ``label.npy``.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import DataError
from models.data.clouds.arrays import LEAST_POINTS, CloudArrays, CloudPart, in_unit_sphere, refuse_few

NOISES = ("uniform", "gaussian", "impulse", "upsampling", "background")  # the corruptions that are noise
SEVERITIES = range(1, 6)


def modelnet40(folder: Path) -> CloudArrays:
    """``ply_data_train*.h5`` and ``ply_data_test*.h5`` with ``data`` (n, 2048, 3) and ``label``; needs h5py.

    The test files are the test split; a tenth of the training clouds is for validation.
    """
    files = {split: sorted(folder.glob(f"ply_data_{split}*.h5")) for split in ("train", "test")}
    for split, paths in files.items():
        if not paths:
            raise DataError(f"'{folder}' has no ply_data_{split}*.h5; unpack modelnet40_ply_hdf5_2048 there")
    try:
        import h5py
    except ImportError:
        raise DataError("modelnet40 needs h5py; type: pip install 'generative-sweeps[modelnet]'") from None
    parts = []
    for paths in files.values():
        pairs = []
        for path in paths:
            with h5py.File(path, "r") as file:
                if absent := {"data", "label"} - set(file):
                    raise DataError(f"{path} has no {', '.join(sorted(absent))}; take the published file")
                pairs.append((np.asarray(file["data"]), np.asarray(file["label"])))
        clouds, labels = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
        parts.append(_checked(str(folder), clouds, labels))
    (clouds, labels), test = parts
    names = _names(folder, int(max(labels.max(), test[1].max())) + 1)
    official: CloudPart = (*test, ())
    return CloudArrays(
        "ModelNet40, HDF5", clouds, labels, names, (), max(len(names), round(len(clouds) / 10)), official, NO_TRIANGLES
    )


def modelnet40c(folder: Path) -> CloudArrays:
    """The clean clouds of ModelNet40-C, divided 80/10/10, with its stored noisy ones for the same shapes."""
    for name in ("data_original.npy", "label.npy"):
        if not (folder / name).exists():
            raise DataError(f"'{folder}' has no {name}; unpack ModelNet40-C there, its folder modelnet40_c")
    clouds, labels = _checked(str(folder), np.load(folder / "data_original.npy"), np.load(folder / "label.npy"))
    stored = {}
    for name in (f"{noise}_{severity}" for noise in NOISES for severity in SEVERITIES):
        if (path := folder / f"data_{name}.npy").exists():
            stored[name] = np.load(path, mmap_mode="r")
            if stored[name].ndim != 3 or len(stored[name]) != len(clouds):
                raise DataError(f"{path} has shape {stored[name].shape} and there are {len(clouds)} clean clouds")
    names = _names(folder, int(labels.max()) + 1)
    tenth = max(len(names), round(len(clouds) / 10))
    refuse_few(f"'{folder}'", len(clouds), len(names))
    return CloudArrays("ModelNet40-C", clouds, labels, names, (), tenth, tenth, NO_TRIANGLES, stored)


NO_TRIANGLES = ("no triangles: surface distances are to the nearest point of the clean cloud",)


def _names(folder: Path, n: int) -> tuple[str, ...]:
    path = folder / "shape_names.txt"
    names = path.read_text().split() if path.exists() else []
    return tuple(names) if len(names) >= n else tuple(str(number) for number in range(n))


def _checked(where: str, clouds: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Each cloud in the unit sphere. Raises DataError for arrays of another layout."""
    if clouds.ndim != 3 or clouds.shape[2] != 3 or clouds.shape[1] < LEAST_POINTS:
        raise DataError(f"'{where}' has clouds of shape {clouds.shape}; (n, at least {LEAST_POINTS}, 3) is wanted")
    labels = labels.reshape(-1).astype(np.int64)
    if len(labels) != len(clouds) or labels.min() < 0:
        raise DataError(f"'{where}' has {len(clouds)} clouds and {len(labels)} labels; take the published files")
    return np.stack(
        [in_unit_sphere(f"'{where}', cloud {number}", cloud)[0] for number, cloud in enumerate(clouds)]
    ), labels
