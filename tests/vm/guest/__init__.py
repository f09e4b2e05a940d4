"""Runs inside the machine."""
