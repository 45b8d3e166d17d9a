"""Every address of the system: the API, the console, the admin site and what probes ask for."""
from django.contrib import admin
from django.urls import path

from microservice.api import answers, api

urlpatterns = [
    path("api/v1/", api.urls),
    path("api/<path:rest>", answers.no_such_path),
    path("admin/", admin.site.urls),
]
