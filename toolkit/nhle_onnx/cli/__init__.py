"""The command line: parse, call one workflow, show its result, return its exit code."""
