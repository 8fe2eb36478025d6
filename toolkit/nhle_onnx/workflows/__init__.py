"""The order of steps of each command; the only place that knows it."""
