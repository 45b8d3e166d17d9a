"""Queries for pages: a fixed number of them however many rows there are. Independent of rules and requests."""
