"""How well and at what cost faces are seen, the write-up's way and ours, side by side."""
