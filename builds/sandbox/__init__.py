"""The sandbox of git builds: namespaces, limits, and a network without access to the worker.

`layout` defines the visible files, `commands` builds the command lines (pure), `means` detects what this machine
supports by trying it, `running` runs a command and ends all of its processes.
"""
