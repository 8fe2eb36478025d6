"""Reports in a browser: pages of them, and a server on this machine alone. It runs no model."""
