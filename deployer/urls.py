"""Every address of the system: the API, the console, the admin site and what probes ask for."""
from django.contrib import admin
from django.urls import include, path

from microservice import health
from microservice.api import answers, api
from microservice.views.sign_in import SignIn

admin.autodiscover()
urlpatterns = [
    path("api/v1/", api.urls),
    path("api/<path:rest>", answers.no_such_path),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    # The admin site's own door would let anybody guess. Who has no business there may sign in as somebody else.
    path("admin/login/", SignIn.as_view(redirect_authenticated_user=False)),
    path("admin/", admin.site.urls),
    path("", include("microservice.urls")),
]
