"""How many trials a cluster plays at a time, and with what: decided before a sweep starts."""

from collections.abc import Mapping
from typing import Any

from orchestrator import devices
from orchestrator.devices import Resources
from orchestrator.errors import UserError
from orchestrator.launchers.ray import cluster, library
from orchestrator.launchers.ray.cluster import Wanted

DEVICES = ("auto", "cpu", "cuda")


def check(chosen: Mapping[str, Any]) -> None:
    """UserError for options that no cluster can follow, and for a cluster that is not there. Nothing is started or joined."""
    check_values(chosen)
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
    if chosen["gpus"] is not None and chosen["gpus"] > 1 and chosen["gpus"] != int(chosen["gpus"]):
        raise UserError(f"--gpus {chosen['gpus']:g}: give a whole number, or a share of one GPU below 1")
    if chosen["workers"] == 0:
        raise UserError("--workers 0 runs trials in this process; leave it out with --launcher ray")


def resolve(chosen: Mapping[str, Any], trials: int, cache: str) -> tuple[Resources, dict[str, Any]]:
    """The slots, and the settings of the launcher; joins the cluster that is named. UserError where a trial fits nowhere."""
    address, workers = chosen["ray_address"] or "", chosen["workers"]
    if not address:
        return _here(chosen, trials, cache)
    wanted = Wanted(address, chosen["cpus"] or 1.0, _gpus(chosen, lambda: cluster.gpus(address)))
    places = cluster.connect(wanted).places(wanted)
    slots = min(workers or places, trials)
    settings = {"address": address, "cpus": wanted.cpus, "gpus": wanted.gpus, "cache": cache}
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


def _gpus(chosen: Mapping[str, Any], there: Any) -> float:
    """GPUs of each trial; ``there()`` counts those that could be used."""
    if chosen["gpus"] is not None:
        return float(chosen["gpus"])
    if chosen["device"] == "cpu":
        return 0.0
    if there() >= 1:
        return 1.0
    if chosen["device"] == "cuda":
        raise UserError("--device cuda: no node has a GPU; say --device cpu")
    return 0.0


def _resources(slots: int, wanted: Wanted, chosen: Mapping[str, Any]) -> Resources:
    """The slots, with a thread for each core of a trial, unless more or less are asked for."""
    threads = chosen["threads"] or max(1, int(wanted.cpus))
    return Resources(("cuda" if wanted.gpus else "cpu",) * slots, threads)
