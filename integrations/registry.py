"""The integrations: which there are, and their current settings.

    from integrations.registry import require
    gitlab = require("gitlab")      # {"url": …, "token": Secret, "ca": …, "verify": True, …}

`require` returns an integration's settings as a dictionary with every key (secrets as `Secret`: `.reveal()`), or raises
a 409 Problem `not_configured` that links to the page. `configured` returns None instead. One query each.
Every integration but `proxies` has the TLS fields `ca` (PEM), `client_cert` (PEM), `client_key` (PEM) and `verify`.

package_store  kind ("local" or "s3"); folder; endpoint, bucket, region, prefix, access_key, secret_key
gitlab         url, token, webhook_secret, projects (which team builds which: see projects.py)
jenkins        url, user, token, webhook_secret, projects
registry       url, hosts (other names of the same registry), project, user, password, web_url (of an image's page)
docker         url (tcp://, unix://), network (of build steps), tls (also without a CA of its own)
proxies        http, https, no_proxy (list of host names)
callbacks      allowed (list of networks, addresses and host names: see allowed_receivers.py), use_proxy

The API and the forms name these fields too: docs/decisions/0041-integration-fields-in-three-places.md.
"""

import json
from typing import Any

from access.problems import Problem, refused
from access.secrets import Secret, reveal
from messages import Message

from .models import Setting

Fields = dict[str, Any]
Document = dict[str, Fields]  # {integration: {field: value}}; one that is missing is not configured

_TLS: Fields = {"ca": "", "client_cert": "", "client_key": "", "verify": True}
PARTS: Document = {
    "package_store": {
        "kind": "local",
        "folder": "",
        "endpoint": "",
        "bucket": "",
        "region": "",
        "prefix": "",
        "access_key": "",
        "secret_key": "",
        **_TLS,
    },
    "gitlab": {"url": "", "token": "", "webhook_secret": "", "projects": [], **_TLS},
    "jenkins": {"url": "", "user": "", "token": "", "webhook_secret": "", "projects": [], **_TLS},
    "registry": {"url": "", "hosts": [], "project": "", "user": "", "password": "", "web_url": "", **_TLS},
    "docker": {"url": "", "network": "", "tls": False, **_TLS},
    "proxies": {"http": "", "https": "", "no_proxy": []},
    "callbacks": {"allowed": [], "use_proxy": False, **_TLS},
}
SECRETS = frozenset({"token", "password", "secret_key", "client_key", "webhook_secret"})
NEVER_SENT = frozenset({"webhook_secret"})  # not sent to the server, so it may stay when the server's address changes
ONLY_GIVEN = {"docker": frozenset({"archive"})}  # in requests: what it holds is kept in other fields
PAGE = "/settings/"


def title(name: str) -> Message:
    """Return the integration's name for people."""
    return Message(f"integration.{name}")


def consequence(name: str) -> Message:
    """Return what it means that the integration is not configured."""
    return Message(f"unconfigured.{name}")


def page_of(name: str) -> str:
    """Return the place on the page where an integration is configured."""
    return f"{PAGE}#{name}"


def newest() -> Setting | None:
    """Return the current revision of the settings; None where nothing was saved yet."""
    return Setting.objects.order_by("-pk").first()


def document_of(row: Setting | None) -> Document:
    """Return a revision's document, only what is configured. For this app only: its secrets are in the clear."""
    return json.loads(reveal(row.document)) if row is not None and row.document else {}


def configured(name: str) -> Fields | None:
    """Return the settings of an integration, every key present and secrets wrapped; None where it is not configured."""
    return configured_together(name)[0]


def configured_together(*names: str) -> list[Fields | None]:
    """Return `configured` for each of these, as they were saved together. One query."""
    document = document_of(newest())
    return [wrapped(name, document[name]) if name in document else None for name in names]


def require(name: str) -> Fields:
    """Return the settings of an integration. Raise 409 `not_configured`, which links to its place on the page."""
    fields = configured(name)
    if fields is None:
        raise not_configured(name)
    return fields


def not_configured(name: str, code: str = "not_configured.integration") -> Problem:
    """Return the 409 where an integration, or something of it that is needed, is not configured."""
    return refused(code, page=page_of(name), integration=title(name), page_path=page_of(name))


def wrapped(name: str, fields: Fields) -> Fields:
    """Return an integration's settings with every key, its secrets as Secret."""
    every = {**PARTS[name], **fields}
    return {key: Secret(value) if key in SECRETS and value else value for key, value in every.items()}
