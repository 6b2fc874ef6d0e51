"""How fast the product is, each as a ratio against something that is named; ``python -m benchmarks`` runs all of them."""
