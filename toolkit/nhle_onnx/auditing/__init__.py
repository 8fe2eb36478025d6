"""Attacks on an edited model, as somebody who holds the file could make them."""
