"""The studies behind the figures in the documentation: `python -m studies NAME`."""
