"""What leaves the house: reports."""
