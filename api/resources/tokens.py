"""/tokens/: what pipelines and scripts show instead of a password."""

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from access.models import Token
from microservice import tokens

from .. import paging
from ..auth import caller, needs
from ..schemas import base

router = Router()


@router.get("/tokens/", response=base.TokenList)
@needs("read")
def list_tokens(request: HttpRequest, query: paging.Page):
    """The caller's own tokens; with the right admin, everybody's."""
    return paging.page(query, tokens.tokens_of(caller(request)).select_related("user")).answer(base.TokenList, form)


@router.post("/tokens/", response={201: base.TokenCreated})
@needs("tokens")
def create_token(request: HttpRequest, body: base.TokenCreate, response: HttpResponse):
    """Makes a token for the caller, with no right that the caller has not. The token is in this answer only.

    A token needs the scope tokens for it, and what it makes ends with it."""
    row, text = tokens.issue(caller(request), **body.given())
    response["Location"] = f"/api/v1/tokens/{row.pk}"
    return Status(201, base.TokenCreated.model_construct(**dict(form(row)), token=text))


@router.get("/tokens/{id}", response=base.TokenOut)
@needs("read")
def get_token(request: HttpRequest, id: base.PathId):
    """One token: everything but its text."""
    return form(tokens.find(caller(request), id))


@router.delete("/tokens/{id}", response={204: None})
@needs("read")
def revoke_token(request: HttpRequest, id: base.PathId):
    """Takes a token back, at once, with all tokens that were made with it. One that takes back others than itself
    needs the scope tokens."""
    tokens.revoke(caller(request), id)
    return Status(204, None)


def form(token: Token) -> base.TokenOut:
    """A token's row as the API gives it: everything but the token."""
    own = set(base.TokenOut.model_fields) - {"user"}  # the parent's id among them
    return base.TokenOut.model_construct(**{name: getattr(token, name) for name in own}, user=token.user.get_username())
