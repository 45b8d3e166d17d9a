"""The one instance of the API, with its routers."""

from .routes import Api

api = Api(
    title="Deployer",
    version="1.0.0",
    description="Publish versions, upgrade and revert what runs on which host, and watch it happen.",
    urls_namespace="api",
)
