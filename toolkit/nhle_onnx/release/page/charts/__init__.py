"""Charts, each drawn on an empty figure. Colours are told apart by colour-blind readers too, and
never alone: order, dashes or words say the same.
"""
