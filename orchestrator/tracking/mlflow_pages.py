"""Addresses of MLflow's pages."""

import re

MODE = "workflowType=machine_learning"  # else they open in one made for language models
VIEW = "mlflow.sharedViewState."  # begins the tags of an experiment that hold views of its runs


def linked(markdown: str, experiment: str) -> str:
    """With links to runs, ``(run:ID)``, as addresses of their pages, which hold on any page of the same server."""
    return re.sub(r"\(run:(\w+)\)", rf"(#/experiments/{experiment}/runs/\1?{MODE})", markdown)
