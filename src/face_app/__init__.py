"""A camera on an edge box sees a face; that face becomes one object in a bucket, once."""

__version__ = "0.2.0"
