"""Where many like jobs run: in this process, on a pool of processes, or on Ray. Never torch."""
