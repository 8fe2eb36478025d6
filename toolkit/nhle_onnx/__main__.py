"""`python -m nhle_onnx`."""

from nhle_onnx.cli.main import main

main()
