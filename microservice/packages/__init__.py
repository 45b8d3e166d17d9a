"""Packages: taken in, looked through, put into the store, and given to the workers."""
