"""Requests whose verdict is known, in files by what could deceive."""
