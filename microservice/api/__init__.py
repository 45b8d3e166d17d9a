"""The HTTP API, at /api/v1/: docs/api.md for people, /api/v1/openapi.json for programs.

A new part of the API is a new module here (or in another app's `api` package) with a `router`: it is found by itself.
Each endpoint says with `@needs(scope)` what a caller must have the right to. How a request travels: routes.py picks
the operation, gate.py recognises the caller, checks the right and remembers the answer of a POST, the endpoint calls
one function that knows no HTTP, and answers.py turns whatever goes wrong into `application/problem+json`.
"""
from .routes import Api

api = Api(
    title="Deployer",
    version="1.0.0",
    description="Publish versions, upgrade and revert what runs on which host, and watch it happen.",
    urls_namespace="api",
)
