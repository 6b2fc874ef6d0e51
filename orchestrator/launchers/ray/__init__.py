"""Trials on a Ray cluster: an actor for each slot, on any node, without a shared disk. ``launcher`` is the supervisor's side.

Ray assigns processors and GPUs, starts actors where they fit, and says when a node is gone. Everything else is as on one
machine: an actor forks a process for each trial, as ``orchestrator.launchers.local`` does, and only the supervisor writes to
the stores. Nothing here imports Ray before it is used.
"""
