"""Launchers by name: where trials run. Each starts tasks somewhere and gives jobs to listen to; see ``protocol``.

A new launcher is one file here and one line in LAUNCHERS. Nothing of it is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.launchers.protocol import Launcher

LAUNCHERS = {
    "local": "orchestrator.launchers.local:LocalLauncher",
    "inline": "orchestrator.launchers.inline:InlineLauncher",
    "ray": "orchestrator.launchers.ray.launcher:RayLauncher",
}


def load(name: str) -> "type[Launcher]":
    """The launcher of this name, a key of LAUNCHERS."""
    module, _, attribute = LAUNCHERS[name].partition(":")
    launcher: type[Launcher] = getattr(import_module(module), attribute)
    return launcher
