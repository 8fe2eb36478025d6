"""The tool's speed compared with its lower bounds, and with what users would do instead."""
