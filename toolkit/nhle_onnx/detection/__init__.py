"""Detectors: where their classes are computed, and what they detect. Needs no torch."""
