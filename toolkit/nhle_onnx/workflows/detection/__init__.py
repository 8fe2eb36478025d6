"""The commands on detectors."""
