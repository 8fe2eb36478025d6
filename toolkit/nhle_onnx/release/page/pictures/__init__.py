"""Pictures of what was measured, each with words for what it shows."""
