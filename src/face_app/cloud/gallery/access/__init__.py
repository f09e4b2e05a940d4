"""Decide who may see and erase faces: users, sessions, headers, the access log."""
