"""Bad input: whatever comes from outside, only what is expected leaves."""
