"""The parts of the outside world, and what is set of each.

    from integrations.registry import require
    gitlab = require("gitlab")      # {"url": …, "token": Secret, "ca": …, "verify": True, …}

`require` answers with the part's settings as a dictionary with every key present (secrets as `Secret`: `.reveal()`), or
raises a 409 Problem `not_configured` that names the page. `chosen` answers None instead. One query each.
Every part but `proxies` has the TLS fields `ca` (PEM), `client_cert` (PEM), `client_key` (PEM) and `verify`.

package_store  kind ("local" or "s3"); folder; endpoint, bucket, region, prefix, access_key, secret_key
gitlab         url, token, webhook_secret, projects (which team builds which: see projects.py)
jenkins        url, user, token, webhook_secret, projects
registry       url, user, password
proxies        http, https, no_proxy (list of host names)
"""

import json
from typing import Any

from access.problems import Problem, conflict
from access.secrets import Secret, reveal

from .models import Setting

_TLS: dict[str, Any] = {"ca": "", "client_cert": "", "client_key": "", "verify": True}
PARTS: dict[str, dict[str, Any]] = {
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
    "registry": {"url": "", "user": "", "password": "", **_TLS},
    "proxies": {"http": "", "https": "", "no_proxy": []},
}
SECRETS = frozenset({"token", "password", "secret_key", "client_key", "webhook_secret"})
OURS = frozenset({"webhook_secret"})  # never sent to the server, so it may stay where the server's address changes
NAMES = {
    "package_store": "the package store",
    "gitlab": "GitLab",
    "jenkins": "Jenkins",
    "registry": "the registry",
    "proxies": "the proxies",
}
WITHOUT = {
    "package_store": "Packages are kept in the local folder PACKAGE_ROOT.",
    "gitlab": "No build can be started at GitLab, and none of its reports is believed.",
    "jenkins": "No build can be started at Jenkins, and none of its reports is believed.",
    "registry": "Nothing is fetched from a registry.",
    "proxies": "Everything outside is spoken to directly.",
}
PAGE = "/settings/"


def place(name: str) -> str:
    """Where on the page a part is set up."""
    return f"{PAGE}#{name}"


def newest() -> Setting | None:
    """The document that holds now, or None where nothing was ever set."""
    return Setting.objects.order_by("-pk").first()


def document_of(row: Setting | None) -> dict[str, dict[str, Any]]:
    """{part: {field: value}} with plain texts; only parts that are set. For this app only: secrets are in the clear."""
    return json.loads(reveal(row.document)) if row is not None and row.document else {}


def chosen(name: str) -> dict[str, Any] | None:
    """What is set of a part, every key present and secrets wrapped; None where it is not set up."""
    return several(name)[0]


def several(*names: str) -> list[dict[str, Any] | None]:
    """`chosen` for each of some parts, as they were set together. One query."""
    document = document_of(newest())
    return [wrapped(name, document[name]) if name in document else None for name in names]


def require(name: str) -> dict[str, Any]:
    """What is set of a part. Raises a 409 Problem `not_configured` that names the page where it is set up."""
    found = chosen(name)
    if found is None:
        raise not_configured(name)
    return found


def not_configured(name: str, what: str = "is not set up yet", hint: str = "") -> Problem:
    """409 for who needs a part, or something of it, that is not set up. Names the place on the page."""
    problem = conflict(
        "not_configured",
        f"{NAMES[name][0].upper()}{NAMES[name][1:]} {what}.",
        hint or f"Set it up under Settings ({place(name)}), or with PUT /api/v1/settings/.",
    )
    problem.page = place(name)
    return problem


def wrapped(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A part with every key, its secrets as Secret."""
    whole = {**PARTS[name], **fields}
    return {key: Secret(value) if key in SECRETS and value else value for key, value in whole.items()}
