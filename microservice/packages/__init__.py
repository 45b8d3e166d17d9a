"""Packages in the store: looked through, put in place, opened, described, removed."""
