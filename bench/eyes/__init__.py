"""Compares detection and its cost with the original homework."""
