"""Faults, tried many times: ``python -m benchmarks.faults`` prints how often a sweep survived each, and what was lost."""
