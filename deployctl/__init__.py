"""The command line: what the HTTP API does, for people and pipelines. Needs click and the standard library alone."""
