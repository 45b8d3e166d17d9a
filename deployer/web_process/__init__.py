"""The web process: a gunicorn worker that gives threads to complete requests only."""
