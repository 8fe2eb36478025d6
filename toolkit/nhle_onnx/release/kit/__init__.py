"""What a device needs to verify a model itself, as one zip file. What runs there is data to us."""
