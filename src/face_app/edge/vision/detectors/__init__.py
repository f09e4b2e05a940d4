"""Find faces in frames: one file per detector, behind one protocol."""
