"""Find faces in frames: one module per detector, all with one protocol."""
