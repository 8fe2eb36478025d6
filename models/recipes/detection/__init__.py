"""Composites of Fashion-MNIST items on textured canvases, and the training of detectors on them."""
