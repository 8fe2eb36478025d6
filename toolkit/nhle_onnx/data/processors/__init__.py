"""What a file says about preprocessing, read as the program that wrote it means it.

Each kind of writer has a file here; `choose.py` lists them.
"""
