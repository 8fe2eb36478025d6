"""Recorded steps that torch computes as one, one file for each kind, named in `fuse`.

Exporters write attention, Gelu or a layer's bias as several operators. Each of these reads and
writes all values, and training keeps what lies between them.
"""
