"""One file an attack; `workflows/attacks.py` lists them."""
