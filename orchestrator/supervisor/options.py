"""The options of the machine that a sweep runs on: of `sweep run`, `compare` and `resume`, and not kept with a sweep.

A new option is one entry here.
"""

from typing import Annotated, TypedDict

from orchestrator import launchers
from orchestrator.options import SECONDS_AT_MOST, Option, Pairs


class MachineOptions(TypedDict, total=False):
    """Where trials run, how many at a time, and for how long."""

    workers: Annotated[
        int | None,
        Option(
            "Number of trials at the same time. 0 runs them in this process, for debugging.",
            metavar="N",
            default_text="one per GPU, or one per core up to 4",
            minimum=0,
            maximum=10_000,
        ),
    ]
    threads: Annotated[
        int | None,
        Option(
            "Threads of each trial.",
            metavar="N",
            default_text="OMP_NUM_THREADS, or the cores divided among the workers",
            minimum=1,
        ),
    ]
    device: Annotated[str, Option("auto, cpu, cuda, or some GPUs: cuda:0,cuda:1.", metavar="NAME", default="auto")]
    launcher: Annotated[
        str | None,
        Option(
            f"How trials are started: {', '.join(launchers.LAUNCHERS)}.",
            metavar="NAME",
            default_text="local; inline where the study runs its trials together",
            choices=tuple(launchers.LAUNCHERS),
        ),
    ]
    ray_address: Annotated[
        str | None,
        Option(
            "With --launcher ray: the cluster to join, by its head.",
            metavar="HOST:PORT",
            default_text="a cluster of this machine, for this sweep",
            environment="RAY_ADDRESS",
        ),
    ]
    cpus: Annotated[
        float | None,
        Option(
            "With --launcher ray: processor cores for each trial.",
            metavar="N",
            default_text="1; on this machine alone, its cores divided by --workers",
            above=0,
            maximum=4096,
        ),
    ]
    gpus: Annotated[
        float | None,
        Option(
            "With --launcher ray: GPUs for each trial; a share, such as 0.5, puts several on one.",
            metavar="N",
            default_text="1 where the cluster has any, else 0",
            minimum=0,
            maximum=64,
        ),
    ]
    per_gpu: Annotated[
        int | None,
        Option(
            "With --launcher ray: trials on each GPU, where it has memory for them: --gpus 1/N.",
            metavar="N",
            default_text="1",
            minimum=1,
            maximum=64,
        ),
    ]
    resources: Annotated[
        Pairs,
        Option(
            "With --launcher ray: what else each trial takes of what its node was started with, such as a licence: "
            "`ray start --resources '{\"licence\": 4}'`. Repeatable.",
            metavar="NAME=NUMBER",
            default=(),
        ),
    ]
    timeout: Annotated[
        float | None,
        Option(
            "Start no trial after this time. Running trials end normally.",
            metavar="SECONDS",
            above=0,
            maximum=SECONDS_AT_MOST,
        ),
    ]
    trial_timeout: Annotated[
        float | None,
        Option(
            "Fail a trial that runs longer than this.",
            metavar="SECONDS",
            default_text="none",
            above=0,
            maximum=SECONDS_AT_MOST,
        ),
    ]
    heartbeat_timeout: Annotated[
        float,
        Option(
            "Restart a worker that has sent nothing for SECONDS during training; 0 means never.",
            metavar="SECONDS",
            default=300.0,
            minimum=0,
            maximum=SECONDS_AT_MOST,
            aliases=("--silence",),
        ),
    ]
    max_worker_deaths: Annotated[
        int,
        Option(
            "Fail a trial when its worker dies this many times at the same checkpoint. SIGKILL, which comes from "
            "outside, counts a quarter.",
            metavar="N",
            default=3,
            minimum=1,
            aliases=("--deaths",),
        ),
    ]
    checkpoint_every: Annotated[
        float,
        Option(
            "Time between checkpoints: at most this much is lost. A worker's first ones come after 1, 2, 4 … seconds.",
            metavar="SECONDS",
            default=30.0,
            above=0,
            maximum=SECONDS_AT_MOST,
        ),
    ]
