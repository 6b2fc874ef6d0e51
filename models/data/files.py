"""The table of all forms in which users have data of their own."""

from collections.abc import Callable, Mapping
from pathlib import Path

from models.data.arrays import Arrays
from models.data.folder import image_folder
from models.data.hoda import hoda
from models.data.npz import npz_file

FORMS: Mapping[str, tuple[str, Callable[[Path], Arrays]]] = {
    "folder": ("folder:PATH", image_folder),
    "npz": ("npz:FILE", npz_file),
    "hoda": ("hoda:FOLDER", hoda),
}
