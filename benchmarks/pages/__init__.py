"""Tables and pictures of pages in docs/, measured again: ``python -m benchmarks.pages.bayes_net``."""
