"""The steps of each command, in order."""
