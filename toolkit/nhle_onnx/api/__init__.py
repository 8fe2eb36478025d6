"""The Python API: the commands as functions."""
