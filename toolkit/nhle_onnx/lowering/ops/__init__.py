"""Operators by family, one small function each, named as in `lowering.operators`."""
