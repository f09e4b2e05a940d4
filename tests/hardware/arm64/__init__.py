"""The edge's images on the other architecture, in emulation."""
