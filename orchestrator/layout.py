"""Names on disk: the one list of what a sweep's folders and files are called.

.sweeps/                     beside the stores
    cache/                   what all sweeps share: the judge, networks that are trained once
    NAME/                    of a sweep: sweep.json (whose files these are), driver.lock, outbox/, across/ (its page over
                             data sets), arm-0/ (of a comparison), marks/, mlflow-run/, repair/ (what is added to runs of
                             others)
        trial-0/             of a trial: outbox/, then weights.safetensors, model.json, samples.png, log.txt, and files that
                             its trainer gives names
                             while it runs: checkpoint.pt, worker.lock, worker.json, ended.json
"""

from collections.abc import Iterator
from pathlib import Path

SWEEPS = ".sweeps"
CACHE = "cache"
RESERVED = {CACHE}  # no sweep is called so
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"  # what a sweep may be called
NAME_RULE = "use up to 100 of a-z A-Z 0-9 . _ - and begin with a letter or a digit"  # the same in words

IDENTITY = "sweep.json"  # whose files these are
DRIVER_LOCK = "driver.lock"  # held by the supervisor of the sweep
ACROSS = "across"
MARKS, PARENT_RUN, REPAIRS = "marks", "mlflow-run", "repair"  # outboxes that add to runs of other records
OUTBOX = "outbox"
SENT = "sent.json"  # in an outbox: how much of it is delivered
REFUSED = "refused.jsonl"  # in an outbox: entries that the store will never take

CHECKPOINT, PREVIOUS_CHECKPOINT = "checkpoint.pt", "checkpoint.previous.pt"
ENDED = "ended.json"  # how a trial ended, until Optuna knows it
WORKER_LOCK, WORKER = "worker.lock", "worker.json"  # held by the worker, and which process that is
WEIGHTS = "weights.safetensors"
MODEL = "model.json"  # what the weights are of: study and config
SAMPLES = "samples.png"
LOG = "log.txt"

TRIAL, ARM = "trial-", "arm-"  # begin the names of their folders


def trial_folder(sweep_folder: str, number: int) -> Path:
    """Where a trial's files are."""
    return Path(sweep_folder) / f"{TRIAL}{number}"


def trial_folders(sweep_folder: str) -> Iterator[Path]:
    """The folders of trials that are there."""
    return Path(sweep_folder).glob(f"{TRIAL}*")


def arm_folder(sweep_folder: str, arm: int) -> Path:
    """Where the outbox of a comparison's arm is."""
    return Path(sweep_folder) / f"{ARM}{arm}"


def cache_folder(sweep_folder: str) -> str:
    """What is shared by all sweeps beside this one."""
    return f"{sweep_folder.rpartition('/')[0]}/{CACHE}"
