"""One file for each attack; `workflows/attacks.py` lists them."""
