"""The command line: parse, call one workflow, show its result, map it to an exit code."""
