"""The layers that can be a head: one file for each pattern, listed in `registry.py`."""
