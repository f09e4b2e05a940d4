"""What finds the faces of a frame: one file a detector, behind one protocol."""
