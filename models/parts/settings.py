"""Types of settings that several families have. No torch here: commands that train nothing read settings as well."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

Activation = Literal["silu", "leaky_relu", "elu", "softplus"]
Precision = Literal["float32", "bfloat16", "auto"]
Noised = Literal["data", "both"]
Penalised = Literal["all", "below_zero"]
Augmentation = Literal["none", "shift", "shift_flip"]


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


NamedFile = Annotated[str, AfterValidator(_absolute)]
"""A file that a setting names; a relative path becomes absolute, so that a sweep can resume in another folder."""
