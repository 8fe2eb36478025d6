"""Networks as other people train them, to measure whether the tool's default travels."""
