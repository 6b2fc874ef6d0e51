"""Scripts that start a Ray cluster and a sweep on it: for SLURM, for Kubernetes (KubeRay), and for a list of machines by ssh.

Each makes a token of its own that both ends are given, and folders of its own on every node, and leaves nothing running.
"""

import json
import re
import shlex
from dataclasses import dataclass

from orchestrator.errors import UserError

RAY = "2.60.0"  # what the manifest asks of KubeRay: the version that is tested
TOKEN = "python -c 'import secrets; print(secrets.token_hex(32))'"

ADDRESS = "python -c 'import ray; print(ray.util.get_node_ip_address())'"


@dataclass(frozen=True)
class Request:
    """What is asked of a cluster."""

    name: str  # of the sweep and the job
    command: tuple[str, ...]  # of `sweep`: run STUDY …
    nodes: int = 2
    cpus_per_node: int = 8
    gpus_per_node: int = 0
    hours: float = 24.0
    partition: str = ""
    setup: str = ""  # a command that makes `sweep` and `ray` known, such as that of an environment
    hosts: tuple[str, ...] = ()
    image: str = ""

    @property
    def sweep(self) -> str:
        """The command of the supervisor. The same again goes on with the sweep."""
        return shlex.join(["sweep", *self.command, "--name", self.name, "--launcher", "ray"])


def check(kind: str, request: Request) -> None:
    """UserError for what no cluster of this kind can start."""
    if request.command[:1] not in (("run",), ("compare",)):
        raise UserError("say what is to run on it, behind --: sweep cluster slurm --nodes 4 -- run ebm --trials 40")
    given = {word.partition("=")[0] for word in request.command}
    for option in ("--name", "--launcher", "--ray-address"):
        if option in given:
            raise UserError(
                f"{option} is set by the script; leave it out behind --, and name the sweep by --name before it"
            )
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", request.name):
        raise UserError(f"--name {request.name}: use up to 48 of a-z 0-9 - , which names of jobs may have")
    for option, owner in (("partition", "slurm"), ("hosts", "ssh"), ("image", "kubernetes")):
        if getattr(request, option) and kind != owner:
            raise UserError(f"--{option} is of `sweep cluster {owner}`; leave it out")
    for host in request.hosts:
        if not re.fullmatch(r"[\w.@:\[\]-]+", host):
            raise UserError(f"--hosts: '{host}' is no name of a machine; write --hosts node1,node2")


def slurm(request: Request) -> str:
    """A script for sbatch. The head and the supervisor are on the first node."""
    options = [
        f"--job-name={request.name}",
        f"--nodes={request.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={request.cpus_per_node}",
        *([f"--gpus-per-node={request.gpus_per_node}"] if request.gpus_per_node else []),
        *([f"--partition={request.partition}"] if request.partition else []),
        f"--time={_clock(request.hours)}",
        f"--output={request.name}-%j.log",
        "--open-mode=append",
        "--requeue",
        "--signal=B:TERM@120",
    ]
    lines = "".join(f"#SBATCH {option}\n" for option in options)
    return f"#!/bin/bash\n{lines}" + _filled(_SLURM, request)


def ssh(request: Request) -> str:
    """A script for this machine, which becomes the head; the others are reached by ssh."""
    if not request.hosts:
        raise UserError("name the machines: sweep cluster ssh --hosts node1,node2 -- run ebm --trials 40")
    return "#!/bin/bash\n" + _filled(_SSH, request).replace("@HOSTS@", shlex.join(request.hosts))


def kubernetes(request: Request) -> str:
    """A manifest for KubeRay: a secret with a new token is made beside it, by the command in its first lines."""
    if not request.image:
        raise UserError("name an image that has generative-sweeps and Ray: --image registry/sweeps:1")
    inside = shlex.quote(f"cd /sweep && {request.sweep} --ray-address auto")
    text = _KUBERNETES.replace("@ENTRYPOINT@", json.dumps(f"bash -c {inside}"))  # a string of JSON is one of YAML
    return _filled(text, request).replace("@IMAGE@", request.image)


def _clock(hours: float) -> str:
    minutes = max(1, round(hours * 60))
    return f"{minutes // 60}:{minutes % 60:02}:00"


def _filled(text: str, request: Request) -> str:
    values = {
        "NAME": request.name,
        "SWEEP": request.sweep,
        "TOKEN": TOKEN,
        "ADDRESS": ADDRESS,
        "SETUP_QUOTED": shlex.quote(request.setup or ":"),
        "SETUP": request.setup or ":",
        "NODES": str(request.nodes),
        "WORKERS": str(max(0, request.nodes - 1)),
        "CPUS": str(request.cpus_per_node),
        "GPUS": str(request.gpus_per_node),
        "GPU_LIMIT": f', nvidia.com/gpu: "{request.gpus_per_node}"' if request.gpus_per_node else "",
        "RAY": RAY,
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


_SLURM = """\
# One sweep on @NODES@ nodes:  sbatch THIS_FILE, in the folder where the sweep is to be. Submitted again, it goes on.
set -euo pipefail
umask 077
@SETUP@
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0
RAY_AUTH_TOKEN=$(@TOKEN@)
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export RAY_ADDRESS=$(@ADDRESS@):$((20000 + SLURM_JOB_ID % 20000))
export OMP_NUM_THREADS=1 PLACE=ray-$SLURM_JOB_ID CPUS=${SLURM_CPUS_PER_TASK:-@CPUS@} GPUS=@GPUS@

# A node of Ray, in the foreground, with a folder of its own that goes with it; sockets want a short path.
node='
    place=$(mktemp -d /tmp/$PLACE.XXXXXX)
    ray start "$@" --block --temp-dir=$place --num-cpus=$CPUS --num-gpus=$GPUS --disable-usage-stats >/dev/null &
    trap "kill $!" TERM
    wait $! || wait $! || true
    rm -rf $place
'
bash -c "$node" node --head --port="${RAY_ADDRESS##*:}" --node-ip-address="${RAY_ADDRESS%:*}" --include-dashboard=false &
nodes=($!)
until ray status >/dev/null 2>&1; do
    kill -0 "${nodes[0]}"
    sleep 1
done
if [ @WORKERS@ -gt 0 ]; then
    # srun of SLURM 22.05 and later takes a core for a task unless it is told.
    srun --nodes=@WORKERS@ --ntasks=@WORKERS@ --ntasks-per-node=1 --cpus-per-task="$CPUS" --exclude="$head" \\
        --kill-on-bad-exit=0 bash -c "$node" node --address="$RAY_ADDRESS" &
    nodes+=($!)
fi

# Before the time is over, or when the job is pre-empted, trials save checkpoints and leave, and the job is queued again.
left=
@SWEEP@ &
sweep=$!
trap 'left=yes; kill -TERM $sweep' TERM
status=0
wait $sweep || status=$?
while kill -0 $sweep 2>/dev/null; do wait $sweep || status=$?; done
# The nodes are told, not srun: that would leave at once, and SLURM would kill them before they have removed their folders.
scancel --signal=TERM "$SLURM_JOB_ID" 2>/dev/null || true
kill "${nodes[0]}" 2>/dev/null || true
wait "${nodes[@]}" 2>/dev/null || true
if [ -n "$left" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
"""

_SSH = """\
# One sweep on this machine and on others:  bash THIS_FILE, in the folder where the sweep is to be. Started again, it goes on.
# Others need the same Python environment at the same place, and no shared disk; ssh must not ask for a password.
set -euo pipefail
umask 077
hosts=(@HOSTS@)
setup=@SETUP_QUOTED@
eval "$setup"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0
RAY_AUTH_TOKEN=$(@TOKEN@)
port=$(python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
export RAY_ADDRESS=$(@ADDRESS@):$port

place=$(mktemp -d /tmp/ray-XXXXXX)
ray start --head --block --port="$port" --node-ip-address="${RAY_ADDRESS%:*}" --temp-dir="$place" \\
    --include-dashboard=false --disable-usage-stats >/dev/null &
nodes=($!)
trap 'kill "${nodes[@]}" 2>/dev/null || true; wait "${nodes[@]}" || true; rm -rf "$place"' EXIT
until ray status >/dev/null 2>&1; do
    kill -0 "${nodes[0]}"
    sleep 1
done

# The token goes over standard input, which nobody sees in a list of processes. A node ends when that is closed.
node='
    umask 077
    read -r RAY_AUTH_TOKEN
    read -r address
    read -r setup
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0
    eval "$setup"
    place=$(mktemp -d /tmp/ray-XXXXXX)
    ray start --block --address="$address" --temp-dir="$place" --disable-usage-stats >/dev/null </dev/null &
    ray=$!
    cat >/dev/null
    kill $ray
    wait $ray
    rm -rf "$place"
'
for host in "${hosts[@]}"; do
    exec {line}> >(exec ssh "$host" "bash -c $(printf %q "$node")")
    printf '%s\\n' "$RAY_AUTH_TOKEN" "$RAY_ADDRESS" "$setup" >&"$line"
done

@SWEEP@
"""

_KUBERNETES = """\
# One sweep with KubeRay (1.4 or newer). First the token that both ends use:
#   openssl rand -hex 32 | tr -d '\\n' | kubectl create secret generic @NAME@-token --from-file=token=/dev/stdin
# and a volume for the stores and the sweep's folder, which only the head mounts: a claim by the name @NAME@.
apiVersion: ray.io/v1
kind: RayJob
metadata:
  name: @NAME@
spec:
  entrypoint: @ENTRYPOINT@
  shutdownAfterJobFinishes: true
  backoffLimit: 3  # the same command goes on with the sweep
  rayClusterSpec:
    rayVersion: "@RAY@"
    headGroupSpec:
      rayStartParams: {include-dashboard: "true", num-cpus: "0", disable-usage-stats: "true"}
      template:
        spec:
          containers:
            - name: head
              image: @IMAGE@
              env: &environment
                - {name: RAY_AUTH_MODE, value: token}
                - {name: RAY_AUTH_TOKEN, valueFrom: {secretKeyRef: {name: @NAME@-token, key: token}}}
                - {name: RAY_USAGE_STATS_ENABLED, value: "0"}
                - {name: OMP_NUM_THREADS, value: "1"}
              resources: {limits: {cpu: "2", memory: 8Gi}, requests: {cpu: "2", memory: 8Gi}}
              volumeMounts:
                - {name: sweep, mountPath: /sweep}
          volumes:
            - {name: sweep, persistentVolumeClaim: {claimName: @NAME@}}
    workerGroupSpecs:
      - groupName: workers
        replicas: @NODES@
        minReplicas: 1
        maxReplicas: @NODES@
        rayStartParams: {disable-usage-stats: "true"}
        template:
          spec:
            containers:
              - name: worker
                image: @IMAGE@
                env: *environment
                resources:
                  limits: {cpu: "@CPUS@"@GPU_LIMIT@}
                  requests: {cpu: "@CPUS@"@GPU_LIMIT@}
"""
