"""What runs on a GPU, compared with the CPU: one script, whose steps cannot stop each other."""
