"""What operations printed: kept for a time, read by bytes or by lines, shown as harmless HTML."""
