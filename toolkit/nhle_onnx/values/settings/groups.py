"""The groups that help lists options in."""

from enum import StrEnum


class Group(StrEnum):
    """A group of options; help lists them in this order."""

    FORGET = "What to forget"
    MODEL = "Model"
    IMAGES = "Images"
    METHOD = "Method"
    LIMITS = "Limits"
    PLACES = "Where it runs"
    OUTPUT = "Output"
    SAFETY = "Safety"
    GENERAL = "General"
