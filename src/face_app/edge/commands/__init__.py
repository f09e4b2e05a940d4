"""Implement the commands of the edge: one module per command."""
