"""What two commits of this project have in common, and what differs: sweeps, trainings, structure."""
