"""Turn each face that a camera on an edge box sees into one object in a bucket, exactly once."""

__version__ = "0.2.0"
