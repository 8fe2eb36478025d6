"""Images with boxes: a file for each way in which boxes are written."""
