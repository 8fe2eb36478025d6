"""The classifier's head: found in a graph, read, written, and put on another graph.

To add a form of head, add a file to `patterns/`; to allow something behind it, a row to `tail.py`.
"""
