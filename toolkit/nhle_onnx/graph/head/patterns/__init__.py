"""The layers that can be a head: one file a pattern, which `registry.py` lists."""
