"""Shared steps of the recipes that make the shipped models and samples."""
