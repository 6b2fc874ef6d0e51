"""What the server that workers are forked from imports: everything a trial needs, and nothing that runs torch."""

import matplotlib.figure  # noqa: F401
import mlflow.data.meta_dataset  # noqa: F401
import sklearn.datasets  # noqa: F401
import torch  # noqa: F401

import models.ebm  # noqa: F401
import orchestrator.trial  # noqa: F401
