"""Markov chain samplers for learned energies: pure functions on batches of chains, built on torch alone."""
