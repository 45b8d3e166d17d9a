"""Who did what (history, sealed in a chain), and what changed (events, the rows behind live views)."""
