"""Determine and publish the health of an edge."""
