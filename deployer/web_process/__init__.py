"""The web process: gunicorn's worker that gives threads to whole requests only."""
