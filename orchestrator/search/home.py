"""A sweep's home: the folder in which it was started, the parent of `.sweeps`.

In memory all paths are absolute. What is stored with the sweep names the home itself once, and what lies below it by
HOME. Where both stores are files that move with the home, it is stored relative to Optuna's file: so a folder that was
moved or copied is its own home. Else it is stored as it is, and a copy is known by it.
"""

import json
import os
import re
import shlex
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import files, text
from orchestrator.delivery.outbox import run_id
from orchestrator.layout import IDENTITY, SWEEPS
from orchestrator.search.spec import Spec
from orchestrator.stores import artifact_locations, failures, read_only, sqlite

HOME = "{home}"  # begins a stored path below the home
KEY = "home"  # of the home itself, in what is stored
MACHINE = "machine"  # of the name of the machine on which that is, where the home is stored as it is
AS_TYPED = ("command", "options", "question")  # never changed
SEARCHED = ("space", "comparison")  # nor these: trials in Optuna hold the same values
SCHEME = r"(?:[A-Za-z][\w+.-]*:(?:///?)?)*"  # before a path: of an address, or the kind of data, halved:npz: say


@dataclass(frozen=True)
class Home:
    """Where the files of a stored sweep are, and why it may not be changed from here; '' where it may."""

    path: Path
    before: Path  # where it was when it was stored, as far as that is known
    obstacle: str = ""
    foreign: bool = False  # what is there is of another sweep, and must not even be shown as this one's
    elsewhere: bool = False  # the home is on another machine, from where it may have moved
    shared: bool = False  # files of it are links to those of the home to which the sweep belongs


class Moved(files.CannotWrite):
    """The files of a sweep that is driven are not where they were. One sentence."""


def home_of(spec: Spec) -> Path:
    """The home of a sweep in memory."""
    return Path(spec.folder).parent.parent


def stored(spec: Spec, storage: str) -> dict[str, Any]:
    """The spec as it is stored in Optuna's ``storage``, an address."""
    home, content = home_of(spec), spec.model_dump(mode="json")
    relative = _relative(home, storage, spec.tracking_uri)
    where = {KEY: relative} if relative else {KEY: str(home), MACHINE: socket.gethostname()}
    return {**replaced(content, str(home), HOME), **where}


def restored(content: Mapping[str, Any], storage: str, moved_here: bool = False) -> tuple[Spec, Home]:
    """The spec that was stored, and its home: the current folder where the user says that it ``moved_here``."""
    home = _find(content, storage, moved_here)
    below = HOME if KEY in content else str(_earlier(content))
    return Spec.model_validate(replaced(content, below, str(home.path))), home


def mark(spec: Spec, aside: Path | None = None) -> None:
    """Note in the sweep's folder, or ``aside`` in one that will be it, whose it is and where. CannotWrite where it cannot be."""
    who, folder = {"id": spec.id, "home": str(home_of(spec))}, aside or Path(spec.folder)
    if identity(folder) != who:
        files.replace(folder / IDENTITY, json.dumps(who).encode())


def identity(folder: Path) -> dict[str, str]:
    """What `mark` noted in a sweep's folder; {} where it was never driven by this version, or there is none."""
    try:
        return dict(json.loads((folder / IDENTITY).read_text()))
    except (OSError, ValueError):
        return {}


def check_there(spec: Spec, storage: str = "") -> None:
    """Raise Moved where the files of a sweep that was marked are not in its home any more; ``storage`` is Optuna's address.

    A place that is out of reach for a moment, as on a disk of another machine, is not gone.
    """
    name, home, folder = spec.name, home_of(spec), Path(spec.folder)
    try:
        if json.loads((folder / IDENTITY).read_bytes())["id"] == spec.id:
            return
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError, LookupError, TypeError):
        return
    file = sqlite.file(storage) if os.path.isabs(storage.removeprefix(sqlite.PREFIX)) else None
    if file and file.is_relative_to(home):  # it was moved with the folder
        option = f" --storage {shlex.quote(sqlite.address(file.relative_to(home)))}"
    else:
        usual = ("", "sqlite:///sweeps.db", os.environ.get("SWEEP_STORAGE"))
        option = "" if storage in usual else f" --storage {shlex.quote(storage)}"
    raise Moved(
        f"the folder of sweep '{name}' was moved or removed from {home} while the sweep ran; nothing was made there anew, "
        f"go on with `{text.program()} resume {name}{option}` where the folder is now"
    )


@contextmanager
def staying(spec: Spec, storage: str) -> Iterator[None]:
    """Raise Moved instead of any other error inside the block where its reason is that; see check_there."""
    try:
        yield
    except Exception:
        check_there(spec, storage)
        raise


def unknown(storage: str, sweep: str | None = None) -> str:
    """A sentence where a storage, an address, holds no sweep at all, or not this one, and their files are beside it; else ''.

    It is for who has looked into the storage.
    """
    file = sqlite.file(storage)
    names = sorted(path.parent.name for path in (file.absolute().parent / SWEEPS).glob(f"*/{IDENTITY}")) if file else []
    if file is None or not names or sweep is not None and sweep not in names:
        return ""
    if not file.exists():
        state = "is gone"
    elif not file.stat().st_size:
        state = "is empty"
    else:
        state = f"knows no sweep {sweep or ''}".rstrip()
    return (
        f"{storage} {state}, but {SWEEPS} holds files of {sweep or ', '.join(names)}; give the --storage that has it, put a "
        f"back-up there, or {failures.ANEW_OPTUNA}"
    )


def _find(content: Mapping[str, Any], storage: str, moved_here: bool) -> Home:
    name, file = content["name"], sqlite.file(storage)
    noted = content.get(KEY)
    if noted is not None and not os.path.isabs(noted):
        home = Path(os.path.normpath((file.parent if file else Path.cwd()) / noted))
        if not (home / SWEEPS / name).exists() and _holds(Path.cwd(), content):
            home = Path.cwd()  # Optuna's file was moved alone
        last = Path(identity(home / SWEEPS / name).get("home", home))
        if (path := _shared(home, last, content, file)) and _holds(last, content):
            return Home(home, last, _belongs(name, last, f"{path} is a link to its files"), shared=True)
        return _whole(home, home, content, file)
    owner = Path(noted) if noted is not None else _earlier(content)
    near = [Path.cwd(), *([file.parent] if file else [])]
    here = next((folder for folder in near if _holds(folder, content)), owner)
    # An earlier version noted no home where both stores were in it, and a copy is one of its own then.
    whole = noted is None and file and _relative(owner, sqlite.address(owner / file.name), content["tracking_uri"])
    if not whole and here.resolve() != owner.resolve() and _holds(owner, content):
        obstacle = _belongs(name, owner, f"{here} holds a copy of its files")
        return Home(here, owner, obstacle, shared=_shared(here, owner, content, file) is not None)
    machine = content.get(MACHINE) or socket.gethostname()  # an earlier version did not say
    if here.resolve() != owner.resolve() and machine != socket.gethostname():
        obstacle = _belongs(name, f"{owner} on {machine}", f"{here} on {socket.gethostname()} holds its files")
        moved = f", or say that it was moved here for good: `{text.program()} resume {name} --moved`"
        return Home(here, owner, obstacle + moved, elsewhere=True)
    if machine != socket.gethostname() and not (owner / SWEEPS / name).exists():
        return _away(owner, machine, content, file, moved_here)
    return _whole(here, owner, content, file)


def _away(owner: Path, machine: str, content: Mapping[str, Any], file: Path | None, moved_here: bool) -> Home:
    """The home of a sweep of which this machine has nothing: it can go on without its files."""
    name, here = content["name"], Path.cwd()
    if moved_here and (here / SWEEPS / name).exists():
        return _whole(here, owner, content, file)
    obstacle = (
        f"the files of sweep '{name}' are in {owner} on {machine}; go on there, or bring its folder here, or, where they "
        f"are lost, go on without them in the current folder: `{text.program()} resume {name} --moved`"
    )
    return Home(here if moved_here else owner, owner, obstacle, elsewhere=True)


def _belongs(name: str, owner: Path | str, copy: str) -> str:
    return f"sweep '{name}' belongs to {owner}, and {copy}; go on there, or carry it to another folder with `sweep pack {name}`"


def _shared(here: Path, owner: Path, content: Mapping[str, Any], optuna: Path | None) -> Path | None:
    """What a copy of the ``owner`` has in common with it, by a link of either kind: a file or folder; None where nothing."""
    if os.path.exists(owner) and os.path.samefile(here, owner):
        return None
    mlflow = sqlite.file(replaced(content["tracking_uri"], HOME, str(here)))
    for path in (here / SWEEPS / content["name"], optuna, mlflow, mlflow and mlflow.parent / artifact_locations.RUNS):
        twin = path and owner / os.path.relpath(path, here)
        if path and twin and path.exists() and twin.exists() and os.path.samefile(path, twin):
            return path
    return None


def _whole(home: Path, before: Path, content: Mapping[str, Any], file: Path | None) -> Home:
    """A home, with what is wrong with the sweep's files in it."""
    name, folder = content["name"], home / SWEEPS / content["name"]
    if folder.exists() and not _holds(home, content):
        return Home(
            home,
            before,
            f"{folder} holds files of another sweep that is called '{name}' too; put those that belong to this storage "
            "there, or say another --storage",
            foreign=True,
        )
    if not folder.exists() and content["run"]:
        return Home(
            home,
            before,
            f"the files of sweep '{name}' are not in {folder}; bring them there together with the storage, or make an "
            "empty folder of this name to go on without them",
        )
    fixed = [path for path in (folder, file) if path and path.exists() and not os.access(path, os.W_OK)]
    if fixed or read_only.is_read_only(file):
        return Home(
            home, before, f"{(fixed or [file])[0]} may only be read; copy {home} to a place where you may write"
        )
    return Home(home, before)


def _holds(home: Path, content: Mapping[str, Any]) -> bool:
    """Whether the files of a stored sweep are in this folder."""
    folder = home / SWEEPS / content["name"]
    if owner := identity(folder).get("id"):
        return bool(owner == content["id"])
    return folder.is_dir() and run_id(folder) in ("", content["run"])


def _earlier(content: Mapping[str, Any]) -> Path:
    """The home of a sweep that an earlier version stored, with absolute paths."""
    return Path(content["folder"]).parent.parent


def _relative(home: Path, storage: str, tracking: str) -> str:
    """The way from the folder of Optuna's file to the home; '' where they do not move together."""
    files_ = [sqlite.file(address) for address in (storage, tracking)]
    if files_[0] is None or files_[1] is None:
        return ""
    top = home.resolve()
    optuna, mlflow = (file.parent.resolve() for file in files_ if file)
    if not mlflow.is_relative_to(top) or not (optuna.is_relative_to(top) or top.is_relative_to(optuna)):
        return ""
    return os.path.relpath(top, optuna)


def replaced(value: Any, before: str, after: str) -> Any:
    """A spec's ``value`` with ``after`` for ``before`` where a text is or begins with this path."""
    if isinstance(value, str):
        if value.startswith(sqlite.PREFIX):
            before, after = sqlite.escaped(before), sqlite.escaped(after)
        return re.sub(f"^({SCHEME}){re.escape(before)}(?=/|$)", lambda match: match[1] + after, value)
    if isinstance(value, Mapping):
        kept = (*AS_TYPED, *SEARCHED)
        return {key: entry if key in kept else replaced(entry, before, after) for key, entry in value.items()}
    return [replaced(entry, before, after) for entry in value] if isinstance(value, list | tuple) else value
