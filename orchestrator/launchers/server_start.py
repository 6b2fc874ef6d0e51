"""How the server is started from which workers are forked: a short path for its socket, and no module of the user's first."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_TEMPORARY = 60  # letters of the folder for temporary files


def choose_socket_folder() -> None:
    """Have the server's socket in a folder with a short name: its path may have 107 letters, and TMPDIR alone may have more."""
    from multiprocessing import util

    if len(tempfile.gettempdir()) <= LONGEST_TEMPORARY:
        return
    before, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        util.get_temp_dir()  # which is made once for the process
    finally:
        tempfile.tempdir = before


@contextmanager
def own_modules_first() -> Iterator[None]:
    """Have the server not look for modules in the current folder first, where a user's random.py may be; since Python 3.11."""
    variable, here = "PYTHONSAFEPATH", Path(__file__).parents[2] == Path.cwd()
    if here or variable in os.environ:
        yield
        return
    os.environ[variable] = "1"
    try:
        yield
    finally:
        del os.environ[variable]
