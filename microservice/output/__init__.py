"""The output of operations: stored for a time, read by bytes or by lines, rendered as harmless HTML."""
