"""Samples, labels and preprocessing."""
