"""Where many similar jobs run: in this process, in several, or on Ray. Without torch."""
