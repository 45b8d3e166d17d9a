"""Where everything that a git build runs is shut in: namespaces, limits, and a network without the worker's own.

`layout` says what is seen inside, `commands` writes the command lines (pure), `means` finds out what this machine can
do by doing it, `running` runs a command and ends all of it.
"""
