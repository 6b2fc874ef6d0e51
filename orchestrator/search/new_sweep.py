"""How a sweep comes into its storage: with a name that no other has, and whole or not at all."""

import itertools
import re
from collections.abc import Set
from pathlib import Path

from orchestrator.errors import UserError
from orchestrator.layout import IDENTITY, NAME, NAME_RULE, RESERVED, SWEEPS
from orchestrator.search import home
from orchestrator.search.book import SPEC, Book
from orchestrator.search.spec import Spec
from orchestrator.stores.optuna_storage import NameTaken, Storage, add_study, load_study, study_names


def check_name(name: str) -> None:
    """UserError where no sweep can be called so."""
    if name in RESERVED:
        raise UserError(f"--name {name} is the name of a folder that all sweeps share; choose another one")
    if not re.fullmatch(NAME, name):
        raise UserError(f"--name {name!r} cannot be a name; {NAME_RULE}")


def create(storage: Storage, spec: Spec) -> Book:
    """A new sweep. Where another process was faster to take a name that nobody chose, it gets the next free one.

    NameTaken where the user chose it.
    """
    while True:
        try:
            add_study(storage, spec.name, spec.objectives, {SPEC: home.stored(spec, str(storage.url))})
            return Book(load_study(storage, spec.name), spec, str(storage.url))
        except NameTaken:
            if spec.options.get("name"):
                raise
            spec = spec.renamed(_free_name(spec.name.rpartition("-")[0], study_names(storage)))


def fresh_name(storage: Storage, study: str, data: str) -> str:
    """A name that no sweep has yet, neither in the storage nor in this folder: study-data-1, -2, …"""
    taken = {path.parent.name for path in Path(SWEEPS).glob(f"*/{IDENTITY}")}
    return _free_name(f"{study}-{data}".replace("_", "-"), study_names(storage) | taken)


def _free_name(stem: str, taken: Set[str]) -> str:
    return next(f"{stem}-{n}" for n in itertools.count(1) if f"{stem}-{n}" not in taken)
