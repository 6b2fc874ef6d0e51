"""The main job as a new user runs it, ``sweep run ebm``: how long it takes and how good its best samples are."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from benchmarks._figure import SWEEP, Figure, empty_folder, environment
from orchestrator import files

SECONDS, SHARE, AIM = 480, 0.10, 0.05
TRIALS, WORKERS = 12, 2
PICTURE = "best_samples.png"


def measure(picture: Path | None = None) -> Iterator[Figure]:
    """Run it in an empty folder; the best trials' samples are copied to ``picture``."""
    with empty_folder() as folder:
        command = (*SWEEP, "run", "ebm", "--name", "main", "--trials", str(TRIALS), "--workers", str(WORKERS))
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment(), check=True)
        took = time.perf_counter() - began
        yield Figure(
            f"sweep run ebm, {TRIALS} trials, {WORKERS} workers", f"{took:.0f} s", f"<= {SECONDS} s", took <= SECONDS
        )
        client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        sweep, best = _best(client)
        if picture is not None:
            os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
            png = Path(client.download_artifacts(sweep.info.run_id, PICTURE, str(folder))).read_bytes()
            files.write_output(picture, png)
    value = best.data.metrics
    share = value["fid/fresh"] / value["fid/noise"]
    yield Figure(
        f"  best trial ({best.info.run_name}): fid/fresh of fid/noise",
        f"{share:.1%}",
        f"<= {SHARE:.0%}, aim {AIM:.0%}",
        share <= SHARE,
    )
    for key in ("fid/fresh", "fid/noise", "fid/real"):
        yield Figure(f"  {key}", f"{value[key]:.4g}")


def _best(client: MlflowClient) -> tuple[Run, Run]:
    """The sweep's run and, of the finished ones below it, that with the lowest last fid/fresh."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    (sweep,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    finished = [
        run
        for run in runs
        if run.data.tags.get("mlflow.parentRunId") == sweep.info.run_id and run.info.status == "FINISHED"
    ]
    return sweep, min(finished, key=lambda run: run.data.metrics["fid/fresh"])
