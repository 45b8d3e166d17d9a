"""The command line: what the HTTP API does, for people and pipelines.

It runs on Python 3.9 and newer and needs the standard library alone: `GET /deployctl.pyz` of an installation is all of
it in one file (api/command_line.py).
"""

__version__ = "0.1.0"
