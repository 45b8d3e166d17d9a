"""/services/: services and how each is built and deployed."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status

from access import teams, url_userinfo
from access.callers import Caller
from asset import environments
from microservice import catalog
from microservice.catalog import secrets, service_recipes, visibility
from microservice.models import MicroService

from .. import paging
from ..auth import caller, needs
from ..schemas.base import Body
from ..schemas.services import ServiceCreate, ServiceList, ServiceOut, ServiceUpdate

router = Router()


@router.get("/services/", response=ServiceList, summary="List services")
@needs("read")
def list_services(request: HttpRequest, query: paging.Page) -> ServiceList:
    """List the services that the caller may see, by name."""
    rows = catalog.services_of(caller(request)).select_related("team", "auto_deploy_environment")
    return paging.page(query, rows, "name").answer(ServiceList, lambda row: serialize(caller(request), row))


@router.post("/services/", response={201: ServiceOut}, summary="Create a service")
@needs("admin", owners=True)
def create_service(request: HttpRequest, body: ServiceCreate, response: HttpResponse) -> Status[ServiceOut]:
    """Create a service. Its commands run on hosts as given, so only administrators and owners (in their team) may.

    `build_orig`, `build_url`, `build_command` and `build_refs` run on build machines and need the right `build` too.
    """
    service = catalog.create_service(caller(request), _fields(body))
    response["Location"] = f"/api/v1/services/{service.pk}"
    return Status(201, serialize(caller(request), service))


@router.get("/services/{service}", response=ServiceOut, summary="Get a service")
@needs("read")
def get_service(request: HttpRequest, service: str) -> ServiceOut:
    """Return a service, by id or name."""
    return serialize(caller(request), catalog.find_service(caller(request), service))


@router.patch("/services/{service}", response=ServiceOut, summary="Update a service")
@needs("admin", owners=True)
def change_service(request: HttpRequest, service: str, body: ServiceUpdate) -> ServiceOut:
    """Change the named fields; of the secrets, the named ones.

    Fields that decide what builds run need the right `build` too.
    """
    row = catalog.find_service(caller(request), service, "admin")
    return serialize(caller(request), catalog.change_service(caller(request), row, _fields(body)))


@router.delete("/services/{service}", response={204: None}, summary="Delete a service")
@needs("admin", owners=True)
def delete_service(request: HttpRequest, service: str) -> Status[None]:
    """Delete a service without instances, with its versions and packages."""
    catalog.delete_service(caller(request), catalog.find_service(caller(request), service, "admin"))
    return Status(204, None)


class DockerfileRequest(Body):
    """A recipe that is not saved; without one, the service's own."""

    recipe: dict[str, Any] | None = None


class DockerfileOut(Schema):
    dockerfile: str = Field(description="What the engine gets; a build puts a digest in place of the base")


@router.post("/services/{service}/dockerfile", response=DockerfileOut, summary="Show the Dockerfile of a recipe")
@needs("read")
def show_dockerfile(request: HttpRequest, service: str, body: DockerfileRequest | None = None) -> dict[str, str]:
    """Return the Dockerfile that a recipe makes, and change nothing: that of the body, or the service's own."""
    row = catalog.find_service(caller(request), service)
    recipe = row.recipe if body is None or body.recipe is None else body.recipe
    return {"dockerfile": service_recipes.dockerfile_of(row, recipe)}


def serialize(who: Caller, service: MicroService) -> ServiceOut:
    """Return a service: of its secrets the names, of its environment the values that the caller may see."""
    own = {"team", "auto_deploy_environment", "environment", "build_url", "has_build_password", "has_build_key"}
    own |= {*secrets.MAPS, *(f"{name}_changed" for name in secrets.MAPS)}
    return ServiceOut.model_construct(
        None,
        **{name: getattr(service, name) for name in ServiceOut.model_fields if name not in own},
        **{name: list(getattr(service, name)) for name in secrets.MAPS},
        **{f"{name}_changed": getattr(service, name).changed() for name in secrets.MAPS},
        environment=visibility.environment(who, service),
        build_url=url_userinfo.hidden(service.build_url),
        has_build_password="password" in service.build_credential,
        has_build_key="key" in service.build_credential,
        team=service.team.name if service.team else None,
        auto_deploy_environment=service.auto_deploy_environment.name if service.auto_deploy_environment else None,
    )


def _fields(body: ServiceUpdate) -> dict:
    fields = body.given()
    if "team" in fields:
        fields["team"] = teams.lookup_team(fields["team"]) if fields["team"] is not None else None
    if "auto_deploy_environment" in fields:
        name = "auto_deploy_environment"
        fields[name] = environments.lookup(fields[name], f"/{name}")
    return fields
