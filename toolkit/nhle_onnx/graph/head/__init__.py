"""The classifier's head: find it in a graph, read it, write it, and put it on another graph.

To add a form of head, add a file to `patterns/`; to allow an operator behind it, add a row to
`tail.py`.
"""
