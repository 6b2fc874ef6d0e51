"""What is fast, measured: ``python -m benchmarks`` prints the machine and a table of figures and targets."""
