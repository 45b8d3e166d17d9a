"""/tokens/: what pipelines and scripts show instead of a password."""
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Status

from access.callers import Caller
from access.models import Token
from access.problems import forbidden, not_found
from access.tokens import make_token

from .. import catalog
from ..history import record
from . import paging, schemas
from .auth import caller, needs

router = Router()


@router.get("/tokens/", response=schemas.TokenList)
@needs("read")
def list_tokens(request: HttpRequest, query: paging.Page):
    """The caller's own tokens; with the right admin, everybody's."""
    return paging.page(query, _tokens_of(caller(request)).select_related("user")).answer(form)


@router.post("/tokens/", response={201: schemas.TokenMade})
@needs("read")
def create_token(request: HttpRequest, body: schemas.TokenNew, response: HttpResponse):
    """Makes a token for the caller, with no right that the caller has not. The token is in this answer only."""
    who = caller(request)
    lacking = [scope for scope in body.scopes if not who.might(scope)]
    if lacking:
        raise forbidden(f"You cannot give a right that you do not have: {', '.join(sorted(set(lacking)))}.")
    services = {catalog.find_service(who, which).pk for which in body.services} or set(who.services)
    user = _user_of(who)
    row, text = make_token(user, body.name, body.scopes, services=services, expires=body.expires, created_by=who.name)
    record(who, "create", "token", row, after={"scopes": row.scopes, "services": row.services})
    response["Location"] = f"/api/v1/tokens/{row.pk}"
    return Status(201, schemas.TokenMade.model_construct(**dict(form(row)), token=text))


@router.delete("/tokens/{id}", response={204: None})
@needs("read")
def revoke_token(request: HttpRequest, id: schemas.PathId):
    """Takes a token back, at once."""
    who = caller(request)
    row = _tokens_of(who).filter(pk=id).first()
    if row is None:
        raise not_found("token")
    if Token.objects.filter(pk=row.pk, revoked=None).update(revoked=timezone.now()):
        record(who, "delete", "token", row)
    return Status(204, None)


def form(token: Token) -> schemas.TokenOut:
    """A token's row as the API gives it: everything but the token."""
    own = set(schemas.TokenOut.model_fields) - {"user"}
    return schemas.TokenOut.model_construct(
        **{name: getattr(token, name) for name in own}, user=token.user.get_username()
    )


def _tokens_of(who: Caller) -> QuerySet[Token]:
    """Those that are not taken back. A token that is for some services only sees none but itself."""
    found = Token.objects.filter(revoked=None)
    if who.services:
        return found.filter(pk=who.token_id or 0)
    return found if who.may("admin") else found.filter(user=who.user_id)


def _user_of(who: Caller):
    return get_user_model().objects.get(pk=who.user_id or 0)
