#!/bin/sh
# The product's resident part alone, for another harness: broker, web, worker and hosts to deploy to, until TERM.
# Its settings come from the environment: see resident.py.
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/python -m bench.resident "$@"
