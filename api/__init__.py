"""The HTTP API, at /api/v1/: docs/api.md for people, /api/v1/openapi.json for programs.

A new resource is a new module in resources/ with a `router`: it is found by itself.
Each endpoint says with `@needs(scope)` what a caller must have the right to. How a request travels: routes.py picks
the operation, dispatch.py recognises the caller, checks the right and remembers the answer of a POST, the endpoint
calls one function that knows no HTTP, and errors.py turns whatever goes wrong into `application/problem+json`.
"""
