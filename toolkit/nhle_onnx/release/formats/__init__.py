"""Reports for pipelines: an overview of any report, and a file for each format that shows it."""
