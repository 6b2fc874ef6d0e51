"""Which Optuna storage is meant."""

import os

from optuna.storages import RDBStorage

from orchestrator import address, book


def meant(url: str | None, create: bool = False) -> RDBStorage:
    """The storage that is meant: at ``url``, else where SWEEP_STORAGE says, else sweeps.db in this folder. See book.connect."""
    if url:
        return book.connect(address.public(url, "--storage"), create=create)
    # Read here, not by click: `mlflow run` passes an empty --storage, which must not hide the variable.
    return book.connect(os.environ.get("SWEEP_STORAGE") or book.DEFAULT_STORAGE, "SWEEP_STORAGE", create=create)
