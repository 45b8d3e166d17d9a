"""Django's PostgreSQL backend, with limits on every wait and connections that are looked at before they are used."""
