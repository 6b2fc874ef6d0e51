"""Commands as processes that start at once: one server imports what they need, and forks a process for each command.

A test that kills a command at many moments would wait for its imports each time.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import environment, python

# A command that is not killed leaves the names of all modules that it has imported.
SERVER = """
import importlib, json, os, sys, traceback
from orchestrator.cli.main import main

grows, *imported = sys.argv[1:]
for name in imported:
    importlib.import_module(name)
for line in sys.stdin:
    request = json.loads(line)
    modules = request["output"] + ".modules"
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        for name in open(modules).read().split() if grows and os.path.exists(modules) else ():
            if name not in sys.modules:
                try:
                    importlib.import_module(name)
                except Exception:
                    continue
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    output = os.open(request["output"], os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(request["folder"])
    os.environ.update(request["variables"])
    status = 0
    try:
        exec(request["script"])
        main(request["arguments"], prog_name="sweep")
    except SystemExit as leaving:
        status = leaving.code
    except BaseException:
        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    with open(modules, "w") as file:
        file.write(" ".join(sys.modules))
    os._exit(status)
"""


class Forked(NamedTuple):
    """How a command ended: its exit status, a signal's number being negative, and all that it printed."""

    status: int
    output: str
    modules: frozenset[str]  # that it had imported, those of the server among them; empty where it was killed


class ForkServer:
    """Forks commands. The caller closes it."""

    def __init__(self, output: Path, grows: bool = True, imported: Sequence[str] = ()) -> None:
        """``output`` is the file that commands print to: not in the folder of a test, whose disk may be full.

        ``imported`` are modules that all commands find imported; if it ``grows``, those of earlier commands too.
        """
        self.output, self.modules = output, output.with_name(f"{output.name}.modules")
        self.process = subprocess.Popen(
            python("-c", SERVER, "grows" if grows else "", *imported),
            env=environment() | {"COLUMNS": "300"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def sweep(self, folder: Path, variables: Mapping[str, str], arguments: tuple[str, ...], script: str = "") -> Forked:
        """Run `sweep` in ``folder`` to its end; ``script`` is Python that its process runs first."""
        assert self.process.stdin and self.process.stdout
        request = {"arguments": arguments, "script": script, "output": os.fspath(self.output)}
        request |= {"folder": os.fspath(folder), "variables": dict(variables)}
        self.modules.unlink(missing_ok=True)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the server has ended"
        modules = self.modules.read_text().split() if self.modules.exists() else ()
        return Forked(int(answer), self.output.read_text(errors="replace"), frozenset(modules))

    def close(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()


class Forks(NamedTuple):
    """Commands in one folder."""

    server: ForkServer
    folder: Path
    variables: Mapping[str, str]

    def sweep(self, *arguments: str, script: str = "") -> Forked:
        """See ForkServer."""
        return self.server.sweep(self.folder, self.variables, arguments, script)
