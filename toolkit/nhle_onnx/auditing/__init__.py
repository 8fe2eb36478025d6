"""Attacks that anyone with the edited model's file could make."""
