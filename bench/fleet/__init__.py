"""Measure the cloud in front of one to a thousand edges."""
