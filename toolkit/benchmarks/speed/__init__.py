"""How fast the tool is beside what bounds it, and beside what users would do instead."""
