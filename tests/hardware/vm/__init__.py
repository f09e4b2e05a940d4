"""Runs the edge in a virtual machine, because a container has no camera device."""
