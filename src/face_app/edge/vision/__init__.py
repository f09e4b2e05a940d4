"""The vision pipeline: frames in, shots and visits out."""
