"""Commands as processes that start at once: one server imports everything, and forks a process for each command.

A test that kills a command at many moments would wait for the imports each time.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import environment, python

SERVER = """
import json, os, sys, traceback
import mlflow.pytorch, safetensors.torch
from orchestrator import session, sweep
from orchestrator.analysis import comparison, importance
from orchestrator.cli.main import main
from orchestrator.figures import catalogue, comparison, sweep, timeline, tradeoff
from orchestrator.launchers import inline
from orchestrator.repair import doctor
from orchestrator.tracking import mlflow_store, model_registry

for line in sys.stdin:
    request = json.loads(line)
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    output = os.open(request["output"], os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.setpgid(0, 0)
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
    os._exit(status)
"""


class Forked(NamedTuple):
    """How a command ended: its exit status, a signal's number being negative, and all that it printed."""

    status: int
    output: str


class Forks:
    """The server, in ``folder`` and with ``variables`` added to its environment. The caller closes it."""

    def __init__(self, folder: Path, output: Path, variables: Mapping[str, str] | None = None) -> None:
        """``output`` is the file that commands print to: not in ``folder`` where a test fills its disk."""
        self.output = output
        self.process = subprocess.Popen(
            python("-c", SERVER),
            cwd=folder,
            env=environment() | {"COLUMNS": "300", **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def sweep(self, *arguments: str, script: str = "") -> Forked:
        """Run `sweep` to its end; ``script`` is Python that its process runs first."""
        assert self.process.stdin and self.process.stdout
        request = {"arguments": arguments, "script": script, "output": os.fspath(self.output)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the server has ended"
        return Forked(int(answer), self.output.read_text(errors="replace"))

    def close(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
