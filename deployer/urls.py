"""Every address of the system: the API, the console and what probes ask for."""
from django.urls import include, path

from microservice import health
from microservice.api import answers, api

handler500 = "microservice.console.unavailable.server_error"
urlpatterns = [
    path("api/v1/", api.urls),
    path("api/<path:rest>", answers.no_such_path),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("", include("microservice.urls")),
]
