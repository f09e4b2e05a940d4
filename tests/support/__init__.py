"""The real parts that tests run against, each a context manager on free loopback ports."""
