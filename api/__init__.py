"""The HTTP API, at /api/v1/: docs/api.md for people, /api/v1/openapi.json for programs.

To add a resource, add a module with a `router` to resources/: it is discovered. Each endpoint declares with
`@needs(scope)` the right that its caller needs. The path of a request: routes.py chooses the operation, dispatch.py
authenticates the caller, checks the right and stores the answer of a POST, the endpoint calls one function that knows
no HTTP, and errors.py turns every error into `application/problem+json`.
"""
