"""How many trials a cluster plays at a time, and with what: decided before a sweep starts."""

from collections.abc import Mapping
from typing import Any

from orchestrator import devices
from orchestrator.devices import Resources
from orchestrator.errors import UserError
from orchestrator.launchers.ray import cluster, library
from orchestrator.launchers.ray.cluster import Wanted

MOST = 1e6  # of a resource
OWN_OPTIONS = {
    "CPU": "say --cpus",
    "GPU": "say --gpus",
    "memory": "Ray does not hold trials to it; say fewer --workers",
    "object_store_memory": "that is Ray's own",
}
DEVICES = ("auto", "cpu", "cuda")


def check(chosen: Mapping[str, Any]) -> None:
    """UserError for options that no cluster can follow, and for a cluster that is not there. Nothing is started or joined."""
    check_values(chosen)
    if _custom(chosen) and not chosen["ray_address"]:
        raise UserError(
            f"--resources {','.join(chosen['resources'])}: a cluster of this machine alone has none; name one by --ray-address, "
            "with nodes that were started by `ray start --resources`"
        )
    if chosen["ray_address"]:
        cluster.check_address(chosen["ray_address"])
    library.library(own=not chosen["ray_address"])


def check_values(chosen: Mapping[str, Any]) -> None:
    """UserError for options that no cluster can follow."""
    if chosen["device"] not in DEVICES:
        raise UserError(
            f"--device {chosen['device']}: with --launcher ray the cluster chooses the GPU; say auto, cpu or cuda, and how many "
            "for each trial by --gpus"
        )
    if chosen["device"] == "cpu" and chosen["gpus"]:
        raise UserError(f"--device cpu uses no GPU; leave out --gpus {chosen['gpus']:g}, or say --device cuda")
    if chosen["per_gpu"] is not None and (chosen["gpus"] is not None or chosen["device"] == "cpu"):
        other = "--device cpu" if chosen["gpus"] is None else f"--gpus {chosen['gpus']:g}"
        raise UserError(f"--per-gpu {chosen['per_gpu']} says what each trial has of a GPU; leave out {other}")
    _custom(chosen)
    if chosen["gpus"] is not None and chosen["gpus"] > 1 and chosen["gpus"] != int(chosen["gpus"]):
        raise UserError(f"--gpus {chosen['gpus']:g}: give a whole number, or a share of one GPU below 1")
    if chosen["workers"] == 0:
        raise UserError("--workers 0 runs trials in this process; leave it out with --launcher ray")


def resolve(chosen: Mapping[str, Any], trials: int, cache: str) -> tuple[Resources, dict[str, Any]]:
    """The slots, and the settings of the launcher; joins the cluster that is named. UserError where a trial fits nowhere."""
    address, workers = chosen["ray_address"] or "", chosen["workers"]
    if not address:
        return _here(chosen, trials, cache)
    gpus = _gpus(chosen, lambda: cluster.gpus(address))
    wanted = Wanted(address, chosen["cpus"] or 1.0, gpus, _custom(chosen))
    places = cluster.connect(wanted).places(wanted)
    slots = min(workers or places, trials)
    settings = {"address": address, "cpus": wanted.cpus, "gpus": gpus, "custom": wanted.custom, "cache": cache}
    return _resources(slots, wanted, chosen), {**settings, "most": 0 if workers else trials}


def _here(chosen: Mapping[str, Any], trials: int, cache: str) -> tuple[Resources, dict[str, Any]]:
    """A cluster of this machine, which starts with the sweep."""
    there = devices.resolve("auto" if chosen["device"] == "cuda" else chosen["device"], None, trials)
    count = len(set(there.devices)) if there.devices[0].startswith("cuda") else 0
    gpus = _gpus(chosen, lambda: count)
    if gpus > count:
        raise UserError(f"--gpus {gpus:g}: this machine has {count}; lower it, or name a cluster by --ray-address")
    slots = chosen["workers"] or (int(count / gpus + 1e-6) if gpus else min(devices.cores(), 4))
    slots = min(slots, trials)
    wanted = Wanted("", chosen["cpus"] or max(1.0, float(devices.cores() // slots)), gpus)
    return _resources(slots, wanted, chosen), {"cpus": wanted.cpus, "gpus": wanted.gpus, "cache": cache}


def _custom(chosen: Mapping[str, Any]) -> dict[str, float]:
    """What ``--resources`` names, by name; UserError for what is no resource, or has an option of its own."""
    custom: dict[str, float] = {}
    for pair in chosen["resources"]:
        name, _, text = pair.partition("=")
        if name in OWN_OPTIONS:
            raise UserError(f"--resources {pair}: {OWN_OPTIONS[name]}")
        try:
            custom[name] = float(text)
        except ValueError:
            custom[name] = 0.0
        number = custom[name]
        if not name or not 0 < number <= MOST or (number > 1 and number != int(number)):
            raise UserError(f"--resources {pair}: give NAME=NUMBER, a whole number or a share of one below 1")
    return custom


def _gpus(chosen: Mapping[str, Any], there: Any) -> float:
    """GPUs of each trial; ``there()`` counts those that could be used."""
    if chosen["gpus"] is not None:
        return float(chosen["gpus"])
    if chosen["device"] == "cpu":
        return 0.0
    if there() >= 1:
        return 1.0 / (chosen["per_gpu"] or 1)
    if chosen["device"] == "cuda" or chosen["per_gpu"]:
        option = f"--per-gpu {chosen['per_gpu']}" if chosen["per_gpu"] else "--device cuda"
        raise UserError(f"{option}: no node has a GPU; leave it out, or say --device cpu")
    return 0.0


def _resources(slots: int, wanted: Wanted, chosen: Mapping[str, Any]) -> Resources:
    """The slots, with a thread for each core of a trial, unless more or less are asked for."""
    threads = chosen["threads"] or max(1, int(wanted.cpus))
    return Resources(("cuda" if wanted.gpus else "cpu",) * slots, threads)
