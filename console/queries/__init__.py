"""Reads for pages: a fixed number of queries however many rows there are. No rule and no request is known here."""
