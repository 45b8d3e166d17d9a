"""The part of a service's settings that fills in its commands for a container."""

from django.http import QueryDict

from microservice.models import MicroService

from ..forms.containers import ContainerForm
from ..forms.services import ServiceForm

BUTTON = "fill"


def filled(data: QueryDict, form: ServiceForm, service: MicroService) -> tuple[QueryDict, ContainerForm]:
    """Return what was posted with the three commands filled in, and the part's form with what is wrong in it."""
    form.is_valid()  # for its environment: as typed, or as saved where that cannot be read
    environment = form.cleaned_data.get("environment", service.environment)
    container = ContainerForm(data, known={*environment, *service.secrets})
    if not container.is_valid():
        return data, container
    data = data.copy()
    for name, text in container.commands().items():
        data[name] = text
    return data, container
