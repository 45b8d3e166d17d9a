"""/credentials/: SSH credentials used by workers. Secrets are write-only."""

from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status
from pydantic import StrictBool, StrictInt, StrictStr

from access.problems import not_found
from asset import credential_check, credentials
from asset.models import Credential
from messages import Message, json_params
from messages.rendering import with_hint

from .. import paging
from ..auth import NEVER, caller, needs
from ..schemas import base

router = Router()


class CredentialFields(base.Body):
    """The fields of a credential. A new secret comes with its own passphrase."""

    name: StrictStr = ""
    kind: StrictStr = Field(Credential.Kind.KEY.value, description="key or password")
    secret: StrictStr = Field("", description="A private key's text, or the password")
    passphrase: StrictStr = Field("", description="Of the private key, where it is encrypted")


class CredentialUpdate(CredentialFields):
    test: StrictBool = Field(
        False, description="First log in with the new secret on hosts that use it; 409 where one refuses it"
    )


class CredentialTestRequest(base.Body):
    """The fields to test; without any, the credential as it is."""

    kind: StrictStr = Field(Credential.Kind.KEY.value, description="key or password")
    secret: StrictStr = ""
    passphrase: StrictStr = ""
    hosts: list[StrictInt] = Field(
        [], description="Ids of up to 5 hosts to log in to; empty: hosts that use the credential"
    )


class CredentialTestOut(Schema):
    host_id: int
    hostname: str
    accepted: bool | None = Field(description="Whether the host accepted it; null: the host could not be reached")
    error: str
    error_code: str = Field(description="Of the error; empty where there is none")
    error_params: dict[str, Any]


class CredentialTestList(Schema):
    data: list[CredentialTestOut]
    count: int
    code: int = 0


class CredentialCreate(CredentialFields):
    name: StrictStr
    secret: StrictStr = Field(description="A private key's text, or the password")


class CredentialOut(Schema):
    id: int
    name: str
    kind: str
    hosts: int = Field(description="Number of hosts that use it")
    created: datetime
    created_by: str
    updated: datetime
    updated_by: str


class CredentialList(base.ListPage):
    data: list[CredentialOut]


@router.get("/credentials/", response=CredentialList, summary="List credentials")
@needs("read", bound=NEVER)
def list_credentials(request: HttpRequest, query: paging.Page) -> CredentialList:
    """List the credentials by name, without their secrets."""
    return paging.page(query, _counted(), "name").answer(CredentialList, serialize)


@router.post("/credentials/", response={201: CredentialOut}, summary="Create a credential")
@needs("admin")
def create_credential(request: HttpRequest, body: CredentialCreate, response: HttpResponse) -> Status[CredentialOut]:
    """Create a credential. A private key is opened with its passphrase at once, so an invalid one is refused."""
    credential = credentials.create(caller(request), body.given())
    response["Location"] = f"/api/v1/credentials/{credential.pk}"
    return Status(201, serialize(_find(credential.pk)))


@router.get("/credentials/{id}", response=CredentialOut, summary="Get a credential")
@needs("read", bound=NEVER)
def get_credential(request: HttpRequest, id: base.PathId) -> CredentialOut:
    """Return a credential, without its secret."""
    return serialize(_find(id))


@router.patch("/credentials/{id}", response=CredentialOut, summary="Update a credential")
@needs("admin")
def change_credential(request: HttpRequest, id: base.PathId, body: CredentialUpdate) -> CredentialOut:
    """Change the named fields. With `test`, a new secret is saved only if hosts accept it, within 10 s."""
    fields, credential = body.given(), _find(id)
    if fields.pop("test", False):
        credential_check.refuse_unaccepted(credential_check.trial(caller(request), credential, _secrets(fields)))
    credentials.change(caller(request), credential, fields)
    return serialize(_find(id))


@router.post("/credentials/{id}/test", response=CredentialTestList, summary="Test a credential")
@needs("admin", outside=True)
def test_credential(request: HttpRequest, id: base.PathId, body: CredentialTestRequest) -> CredentialTestList:
    """Log in to up to 5 hosts at once with the credential as it is, or with the given fields, within 10 s. Save
    nothing.
    """
    fields = body.given()
    results = credential_check.trial(caller(request), _find(id), _secrets(fields), fields.get("hosts") or None)
    rows = [_serialize_result(result) for result in results]
    return CredentialTestList.model_construct(data=rows, count=len(rows), code=0)


@router.delete("/credentials/{id}", response={204: None}, summary="Delete a credential")
@needs("admin")
def delete_credential(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Delete a credential that no host uses."""
    credentials.delete(caller(request), _find(id))
    return Status(204, None)


def _serialize_result(result: dict[str, Any]) -> CredentialTestOut:
    message: Message | None = result["error"]
    return CredentialTestOut.model_construct(
        **result
        | {
            "error": with_hint(message) if message else "",
            "error_code": message.code if message else "",
            "error_params": json_params(message.params) if message else {},
        }
    )


def _secrets(fields: dict) -> dict:
    return {name: value for name, value in fields.items() if name in ("kind", "secret", "passphrase")}


def serialize(credential: Credential) -> CredentialOut:
    return CredentialOut.model_construct(
        **{name: getattr(credential, name) for name in set(CredentialOut.model_fields) - {"hosts"}},
        hosts=credential.used,  # type: ignore[attr-defined]  # counted by the query
    )


def _counted() -> QuerySet[Credential]:
    # The related name is `hosts`, so the number cannot be called that.
    return Credential.objects.annotate(used=Count("hosts", filter=Q(hosts__archived=None)))


def _find(number: int) -> Credential:
    credential = _counted().filter(pk=number).first()
    if credential is None:
        raise not_found("credential")
    return credential
