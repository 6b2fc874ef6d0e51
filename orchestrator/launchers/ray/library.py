"""Ray itself: imported where it is used, with a token, and kept from changing what is the supervisor's."""

import contextlib
import os
import secrets
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from types import ModuleType

from orchestrator.errors import UserError

TOKEN, MODE = "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"
# Ray reads them when it starts. It counts its users over the network, unless it is told not to.
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def library(own: bool = False) -> ModuleType:
    """Ray; UserError where it is not installed. ``own``: it is to start a cluster of this machine, with a token of its own.

    Ray reads both when it is imported. Where that has happened already, it takes the token that it keeps for this user.
    """
    settings = dict(SETTINGS)
    if own and "ray" not in sys.modules and MODE not in os.environ:
        settings |= {MODE: "token", TOKEN: secrets.token_hex(32)}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UserError(
            "--launcher ray needs Ray, which is not installed here; install it: pip install 'generative-sweeps[ray]'"
        ) from None
    module: ModuleType = ray
    return module


def reason(error: BaseException) -> str:
    """What an error of Ray says, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Signals are the supervisor's to hear, whatever Ray would do when it hears them."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)} if main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def quiet() -> Iterator[list[str]]:
    """Ray warns of changes to come, prints every try, and lets everybody read what it writes. What it prints is in the list."""
    said: list[str] = []
    with tempfile.TemporaryFile() as file:
        before, errors = os.umask(0o077), os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield said
        finally:
            os.dup2(errors, 2)
            os.close(errors)
            os.umask(before)
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
