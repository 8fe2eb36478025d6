"""Patches from one model file to another, byte for byte, without the old values."""
