"""Runs studies: Optuna decides, a launcher starts, MLflow remembers."""
