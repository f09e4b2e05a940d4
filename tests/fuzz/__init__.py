"""Fuzz tests: any input from outside is accepted or refused as specified."""
