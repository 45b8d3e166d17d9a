"""/tokens/: credentials for pipelines and scripts."""

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from access.models import Token
from microservice import tokens

from .. import paging
from ..auth import caller, needs
from ..schemas import base
from ..schemas.tokens import TokenCreate, TokenCreated, TokenList, TokenOut

router = Router()


@router.get("/tokens/", response=TokenList, summary="List tokens")
@needs("read")
def list_tokens(request: HttpRequest, query: paging.Page) -> TokenList:
    """List the caller's tokens; all tokens for administrators."""
    return paging.page(query, tokens.tokens_of(caller(request)).select_related("user")).answer(TokenList, serialize)


@router.post("/tokens/", response={201: TokenCreated}, summary="Create a token")
@needs("tokens")
def create_token(request: HttpRequest, body: TokenCreate, response: HttpResponse) -> Status[TokenCreated]:
    """Create a token with rights that the caller has. Only this answer contains the token.

    A token needs the scope `tokens` for this; what it creates ends with it.
    """
    row, text = tokens.issue(caller(request), **body.given())
    response["Location"] = f"/api/v1/tokens/{row.pk}"
    return Status(201, TokenCreated.model_construct(**dict(serialize(row)), token=text))


@router.get("/tokens/{id}", response=TokenOut, summary="Get a token")
@needs("read")
def get_token(request: HttpRequest, id: base.PathId) -> TokenOut:
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


def serialize(token: Token) -> TokenOut:
    """Return a token without its text."""
    own = set(TokenOut.model_fields) - {"user"}  # the parent's id among them
    return TokenOut.model_construct(**{name: getattr(token, name) for name in own}, user=token.user.get_username())
