"""The gates: counts against limits, and whether there are enough images to decide.

Every command is judged here. Accuracies alone would pass a model that never knew the class, one
that gives every image the same class, and one measured on the images that it was tuned on.

To add a gate, write a file with a function of terms and counts, and name it in `judge.py`.
"""
