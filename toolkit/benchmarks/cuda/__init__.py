"""A GPU compared with the CPU, step by step; a step that fails does not stop the others."""
