"""One module for each resource of the API. A module with a `router` is found and mounted by routes.py."""
