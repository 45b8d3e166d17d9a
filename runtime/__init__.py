"""Settings, logs, database connections, the broker and threads: what every process needs.

Nothing here knows about deployments.
"""
