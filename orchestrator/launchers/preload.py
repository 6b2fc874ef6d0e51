"""What the server that workers are forked from imports: everything a trial needs, and nothing that runs torch."""

import gc

import sklearn.datasets  # noqa: F401
import torch  # noqa: F401

import orchestrator.worker.trial  # noqa: F401
from models.parts.evaluation import metrics

metrics.preload()
gc.freeze()  # a worker's collector leaves alone, and so never copies, what is here already
