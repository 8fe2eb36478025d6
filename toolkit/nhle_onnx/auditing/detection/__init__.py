"""Attacks on a detector: one file for each; `workflows/detection/attacks.py` lists them."""
