"""Benchmarks of `bin/bench`, each beside a baseline."""
