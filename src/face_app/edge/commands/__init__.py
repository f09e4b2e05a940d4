"""The commands of the edge, one file a command."""
