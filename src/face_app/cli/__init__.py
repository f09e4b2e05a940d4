"""Implement the command line: one module per command group."""
