"""One seeded training loop."""
