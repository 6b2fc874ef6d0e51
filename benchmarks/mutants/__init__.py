"""Small faults put into the code, to measure how many of them the tests notice."""
