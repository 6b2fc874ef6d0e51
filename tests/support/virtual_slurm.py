"""SLURM with two virtual nodes on this machine, in a folder of its own: Debian's slurm-wlm and munge, as root."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.processes import Process, wait_for
from tests.support.servers import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
REFUSAL = "SLURM is not installed, or this is not root: apt-get install slurm-wlm munge"

# Nothing that needs cgroups or accounting; both nodes are this machine, which has fewer cores than they say. A job that is
# queued again waits until its credential is no longer valid: two minutes unless `cred_expire` says less.
SETTINGS = """\
ClusterName=virtual
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=20
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmctldParameters=config_overrides
MpiDefault=none
ReturnToService=2
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2
PartitionName=main Nodes=node1,node2 Default=YES State=UP
"""


def available() -> bool:
    """Whether it can be started here."""
    return os.getuid() == 0 and all(map(shutil.which, PROGRAMS))


@contextmanager
def nodes() -> Iterator[dict[str, str]]:
    """Two idle nodes; gives the environment in which `sbatch` finds them."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    folder.chmod(0o711)  # munge wants its socket to be within everybody's reach
    (folder / "munge").mkdir(mode=0o711)
    (folder / "state").mkdir()
    (folder / "munge" / "key").write_bytes(secrets.token_bytes(128))
    (folder / "munge" / "key").chmod(0o600)
    ports = [free_port() for _ in range(3)]
    settings = folder / "slurm.conf"
    settings.write_text(SETTINGS.format(host=socket.gethostname(), folder=folder, ports=ports))
    variables = {"SLURM_CONF": str(settings)}
    munge = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    commands = [
        ["munged", "--foreground", *(f"--{option}={folder}/munge/{name}" for option, name in munge.items())],
        ["slurmctld", "-D"],
        *(["slurmd", "-D", "-N", name] for name in ("node1", "node2")),
    ]
    processes: list[Process] = []
    try:
        for command in commands:
            processes.append(Process(command, folder, variables))
            if command[0] == "munged":
                processes[-1].wait_for((folder / "munge" / "socket").exists)
        wait_for(lambda: _idle(variables) == 2, lambda: "\n".join(process.output for process in processes))
        yield variables
    finally:
        for process in reversed(processes):
            with suppress(ProcessLookupError):
                process.close()
        shutil.rmtree(folder, ignore_errors=True)


def _idle(variables: dict[str, str]) -> int:
    asked = ["sinfo", "--Node", "--noheader", "--format=%t"]
    done = subprocess.run(asked, env=os.environ | variables, capture_output=True, text=True)
    return done.stdout.split().count("idle")
