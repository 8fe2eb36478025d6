"""Registries that an edited model is pushed to, a file for each; nothing else uses the network."""
