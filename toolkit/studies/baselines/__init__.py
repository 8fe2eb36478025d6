"""Peers of the tool, each written from its published formula."""
