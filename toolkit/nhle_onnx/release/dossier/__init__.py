"""Erasure dossiers: one page and one document about a request, bound to every file by digest."""
