"""Developers' tools: what a change to the code did to it, and to what it makes."""
