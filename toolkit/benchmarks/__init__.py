"""Measurements of time, memory and bytes, run by hand: `python -m benchmarks NAME`."""
