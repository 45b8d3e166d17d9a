"""Packages: parsed strictly, rewritten, stored, read and removed."""
