"""Name the rights that a key pair may have at a bucket."""

from enum import Enum


class Right(str, Enum):
    """Names what an account may do with the objects of a bucket."""

    WRITE = "write"
    READ = "read"
    LIST = "list"
    DELETE = "delete"
