"""Recorded steps that torch can compute as one, with a file for each kind, listed in `fuse.py`.

Exporters write attention, Gelu or a layer's bias as several operators. Each operator reads and
writes all values, and training keeps all results between them in memory.
"""
