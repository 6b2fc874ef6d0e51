"""Names on disk: where the files of a sweep and of its trials are."""

from pathlib import Path

SWEEPS = ".sweeps"  # folder of the sweeps' own files, beside the stores
RESERVED = {"cache"}
WEIGHTS = "weights.safetensors"
MODEL = "model.json"  # what the weights are of: study and config
SAMPLES = "samples.png"
LOG = "log.txt"


def trial_folder(sweep_folder: str, number: int) -> Path:
    """Where a trial's files are."""
    return Path(sweep_folder) / f"trial-{number}"
