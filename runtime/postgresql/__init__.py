"""Django's PostgreSQL backend with a limit on every wait, and connections that are checked before use."""
