"""What the program costs, run by hand: `python -m benchmarks NAME`."""
