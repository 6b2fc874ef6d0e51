"""What the server that workers are forked from imports: everything a trial needs, and nothing that runs torch."""

import gc
import os
from contextlib import suppress

import alembic.command  # noqa: F401  # MLflow's SQLite store would import it, and the next, in every worker
import PIL.WebPImagePlugin  # noqa: F401
import sklearn.datasets  # noqa: F401
import sqlalchemy.dialects.sqlite  # noqa: F401
import torch  # noqa: F401

import orchestrator.tracker  # noqa: F401
import orchestrator.trial  # noqa: F401
from models.parts import metrics

metrics.preload()
with suppress(Exception):  # a tracker that cannot be reached is the workers' to tell
    orchestrator.tracker.warm(os.environ["MLFLOW_TRACKING_URI"])
gc.freeze()  # a worker's collector leaves alone, and so never copies, what is here already
