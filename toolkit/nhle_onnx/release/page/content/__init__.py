"""What stands on the page of each report, in the order of reading: the verdict first."""
