"""Trainings at the sizes of papers, with their price: ``python -m benchmarks.published.ebm --price``."""
