"""Packages in the store: read strictly, written anew, put in place, opened and removed."""
