"""/tokens/: credentials for pipelines and scripts."""

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from access.models import Token
from microservice import tokens

from .. import paging
from ..auth import caller, needs
from ..schemas import base

router = Router()


@router.get("/tokens/", response=base.TokenList, summary="List tokens")
@needs("read")
def list_tokens(request: HttpRequest, query: paging.Page) -> base.TokenList:
    """List the caller's tokens; all tokens for administrators."""
    return paging.page(query, tokens.tokens_of(caller(request)).select_related("user")).answer(
        base.TokenList, serialize
    )


@router.post("/tokens/", response={201: base.TokenCreated}, summary="Create a token")
@needs("tokens")
def create_token(request: HttpRequest, body: base.TokenCreate, response: HttpResponse) -> Status[base.TokenCreated]:
    """Create a token with rights that the caller has. Only this answer contains the token.

    A token needs the scope `tokens` for this; what it creates ends with it.
    """
    row, text = tokens.issue(caller(request), **body.given())
    response["Location"] = f"/api/v1/tokens/{row.pk}"
    return Status(201, base.TokenCreated.model_construct(**dict(serialize(row)), token=text))


@router.get("/tokens/{id}", response=base.TokenOut, summary="Get a token")
@needs("read")
def get_token(request: HttpRequest, id: base.PathId) -> base.TokenOut:
    """Return a token, without its text."""
    return serialize(tokens.find(caller(request), id))


@router.delete("/tokens/{id}", response={204: None}, summary="Revoke a token")
@needs("read")
def revoke_token(request: HttpRequest, id: base.PathId) -> Status[None]:
    """Revoke a token at once, with every token that was created with it.

    A token needs the scope `tokens` to revoke another one.
    """
    tokens.revoke(caller(request), id)
    return Status(204, None)


def serialize(token: Token) -> base.TokenOut:
    """Return a token without its text."""
    own = set(base.TokenOut.model_fields) - {"user"}  # the parent's id among them
    return base.TokenOut.model_construct(**{name: getattr(token, name) for name in own}, user=token.user.get_username())
