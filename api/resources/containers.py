"""/services/…/container-commands: the commands of a container, for a request that saves them."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema
from pydantic import StrictInt, StrictStr

from microservice import catalog
from microservice.catalog import container_commands, containers
from microservice.catalog.fields import refuse

from ..auth import caller, needs
from ..schemas import base

router = Router()

Lines = list[StrictStr]


class ContainerCommandsRequest(base.Body):
    """What the container is. `$PORT`, `$SHARED` and the other variables of commands may stand in values."""

    publish: Lines = Field([], description="[ADDRESS:]PORT:PORT[/udp], on the host and in the container")
    volumes: Lines = Field([], description="FOLDER:FOLDER[:ro], on the host and in the container")
    variables: Lines = Field([], description="Names from the environment and secrets of the service")
    restart: StrictStr = Field(containers.RESTARTS[0], description=f"One of {', '.join(containers.RESTARTS)}")
    memory: StrictStr = Field("", description="Such as 512m")
    cpus: StrictStr = Field("", description="Such as 1.5")
    options: Lines = Field([], description="Of docker run; a value stands behind a =")
    arguments: Lines = Field([], description="For the image's own program")
    stop_seconds: StrictInt = 10
    engine: StrictStr = Field(containers.ENGINES[0], description="The command on hosts: docker or podman")
    check: StrictStr = Field(containers.CHECKS[0], description=f"One of {', '.join(containers.CHECKS)}")
    check_value: StrictStr = Field("", description="A port in the container, an address, or a command in it")


class ContainerCommands(Schema):
    """Fields of a service. Nothing is saved: send them with PATCH."""

    start_command: str
    stop_command: str
    check_command: str


@router.post(
    "/services/{service}/container-commands", response=ContainerCommands, summary="Make the commands of a container"
)
@needs("read")
def make_container_commands(request: HttpRequest, service: str, body: ContainerCommandsRequest) -> dict[str, str]:
    """Return the commands that start, stop and check one container of each instance. Changes nothing."""
    row = catalog.find_service(caller(request), service)
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in body.given().items()
    }
    container = containers.Container(**given)
    refuse(containers.errors(container, {*row.environment, *row.secrets}))
    return container_commands.commands(container)
