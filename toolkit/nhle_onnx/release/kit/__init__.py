"""All that a device needs to verify a model itself, as one zip file.

The programs that run there are data to this package.
"""
