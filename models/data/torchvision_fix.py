"""Lets torchvision be imported beside a torch that its compiled operators were not built for.

The registry's torchvision for Linux is built for CUDA. Beside a CPU build of torch its extension does not load, and
then ``import torchvision`` fails on operators that nothing here uses. Declaring them first is enough.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import torch

# Schemas as torchvision's own extension declares them; its Python side registers shape functions for these two alone.
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[torch.library.Library] = []  # a library that is collected takes its declarations with it


def declare_missing_operators() -> None:
    """Call it before torchvision, or anything that imports it, is imported. Does nothing where nothing is broken.

    A second declaration of an operator aborts the process, so the extension is tried first: where it loads, torchvision
    is whole. Only Linux is looked at, as only its wheels are built for CUDA.
    """
    if sys.platform != "linux" or "torchvision" in sys.modules or hasattr(torch.ops.torchvision, "nms"):
        return
    package = importlib.util.find_spec("torchvision")
    if package is None or package.origin is None:
        return  # not installed: its import says so better
    extension = importlib.machinery.PathFinder.find_spec("_C", [str(Path(package.origin).parent)])
    if extension is not None and extension.origin is not None:
        try:
            torch.ops.load_library(extension.origin)  # type: ignore[no-untyped-call]
        except OSError:
            pass
        else:
            return
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    _libraries.append(library)
