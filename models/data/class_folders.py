"""Which files of a user's folder belong to which split and which class.

A folder for each class, and what lies deeper below it belongs to the class; above them there may be train, val and test.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from models.data.arrays import UNLABELLED, DataError
from models.data.image_file import SUFFIXES

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}

Files = Mapping[str, Sequence[Path]]  # by class


class Tree(NamedTuple):
    """The images of a folder."""

    splits: Mapping[str, Files]  # by "train", "validation", "test"; "train" alone where nobody has divided them
    notes: list[str]  # how they are divided, and what is left out, a sentence each

    @property
    def is_divided(self) -> bool:
        return len(self.splits) > 1

    def together(self) -> Files:
        """All images, whatever their split."""
        files: dict[str, list[Path]] = {}
        for split in self.splits.values():
            for name, in_class in split.items():
                files.setdefault(name, []).extend(in_class)
        return files


def read(path: Path) -> Tree:
    """The images below ``path``. Raises DataError where there are none, or where it is divided by halves; OSError."""
    folders = _splits(path)
    notes = [f"the images are divided as the folders {', '.join(folder.name for folder in folders.values())} say"]
    if len(folders) < 2:
        notes.clear()
    splits: dict[str, Files] = {}
    unread = list[Path]()
    for split, folder in (folders or {"train": path}).items():
        classes = _visible(folder)
        if not classes and not folders and (images := sorted(file for file in folder.iterdir() if _is_image(file))):
            splits[split] = {UNLABELLED: images}
            unread += [file for file in folder.iterdir() if not _is_image(file) and not _hidden(file.name)]
            continue
        if not classes:
            raise DataError(
                f"{folder} has no sub-folders; put the images of each class into a sub-folder named after it"
            )
        below: dict[str, list[Path]] = {}
        seen = {os.path.realpath(above) for above in (folder, *folder.absolute().parents)}
        for entry in sorted(classes, key=lambda entry: entry.is_symlink()):  # what a link shows is read where it lies
            below.setdefault(normalize("NFC", entry.name), []).extend(_below(entry, seen))
        unread += [file for files in below.values() for file in files if not _is_image(file)]
        unread += [file for file in folder.iterdir() if _is_image(file)]
        by_class = {name: [file for file in files if _is_image(file)] for name, files in below.items()}
        if empty := [name for name, images in by_class.items() if not images]:
            notes.append(f"folders without images are left out: {', '.join(empty)}")
        splits[split] = {name: images for name, images in by_class.items() if images}
        if not splits[split]:
            raise DataError(f"the sub-folders of {folder} hold no images; put files that end in .png or .jpg there")
    if unread:
        names = ", ".join(file.name for file in unread[:3])
        notes.append(f"{len(unread)} files are no images by their names, or lie in no class, and are left out: {names}")
    return Tree(splits, notes)


def _splits(path: Path) -> dict[str, Path]:
    """The folders train, val and test, by what they are; {} where the folders are classes. Raises DataError for a half of it."""
    top = _visible(path)
    named = [(split, folder) for folder in top if (split := _split_of(folder.name))]
    splits = dict(named)
    if len(top) == 1:
        return _alone(path, top[0], splits)
    if len(named) < 2:
        return {}
    if fault := _fault(top, named):
        raise DataError(
            f"{path} looks divided into {', '.join(folder.name for _, folder in named)}, but {fault}; keep train, val and "
            "test with the classes in each, and nothing beside them"
        )
    return splits


def _alone(path: Path, folder: Path, splits: dict[str, Path]) -> dict[str, Path]:
    """Where ``path`` has one folder: train, or the only class. Raises DataError where the classes seem to be inside it."""
    if "train" in splits and _visible(folder):
        return splits
    if splits or _visible(folder) and not any(map(_is_image, folder.iterdir())):
        raise DataError(
            f"{path} holds the folder {folder.name} alone; if the classes are inside it, say folder:{path / folder.name}"
        )
    return {}


def _fault(top: Sequence[Path], named: Sequence[tuple[str, Path]]) -> str:
    """Why folders of which some are named as splits divide nothing; '' where they do."""
    for _, folder in named:
        if not _visible(folder):
            return f"{folder.name} has no sub-folders of classes"
    for folder in top:
        if not _split_of(folder.name):
            return f"{folder.name} is neither"
    splits = {split for split, _ in named}
    if "train" not in splits:
        return "there is no train"
    return "two of them are the same part" if len(splits) < len(named) else ""


def _split_of(name: str) -> str | None:
    """Of "train", "Test_set" and "validation images"."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    return SPLITS.get(letters) or SPLITS.get(re.sub(r"(set|images|data)$", "", letters))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not _hidden(file.name) and not file.is_dir()


def _visible(folder: Path) -> list[Path]:
    """Sub-folders without what systems leave behind."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _hidden(entry.name))


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _below(folder: Path, seen: set[str]) -> Iterator[Path]:
    """All files of a class, those of its sub-folders too; not those of folders that have been ``seen``, which links show."""
    if os.path.realpath(folder) in seen:
        return
    for root, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        seen.add(os.path.realpath(root))
        kept = list[str]()
        for name in sorted(folders, key=lambda name: (os.path.islink(os.path.join(root, name)), name)):
            if not _hidden(name) and (real := os.path.realpath(os.path.join(root, name))) not in seen:
                seen.add(real)
                kept.append(name)
        folders[:] = kept
        for name in sorted(files):
            if not _hidden(name):
                yield Path(root, name)


def _raise(error: OSError) -> None:
    raise error
