"""The edge on a kernel of its own, for what no container has: a camera that is a device."""
