"""What every process runs on: environment, logs, database connections, the broker, threads.

It knows nothing of what is deployed.
"""
