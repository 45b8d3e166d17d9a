"""`python -m demo.people FILE`: create the tables, the demo's superuser, the second person and a token with all scopes,
and write the token to FILE unless the one there is still valid. One process does it all: starting Django is slow.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .openssh import write_private
from .surroundings import APPROVER, PASSWORDS, USERNAME

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def main(file: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
    import django

    django.setup()
    make(file)


def make(file: Path) -> None:
    """Do this once Django is loaded."""
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    user = _person(USERNAME, superuser=True)
    if PASSWORDS[APPROVER] in os.environ:
        _person(APPROVER)
    from access.callers import SCOPES
    from access.models import Token
    from access.tokens import digest_of, make_token

    last = Token.objects.filter(digest=digest_of(file.read_text().strip()), user=user, revoked=None, expires=None)
    if not any(set(token.scopes) == set(SCOPES) for token in last):  # a token from before a scope existed is not enough
        _, text = make_token(user, "demo", SCOPES, created_by=USERNAME)
        write_private(file, text)


def _person(username: str, superuser: bool = False) -> "User":
    """Return the user, with the environment's password; created, and a superuser, if it is not one yet."""
    from django.contrib.auth import get_user_model

    user, _ = get_user_model().objects.get_or_create(username=username)
    password = os.environ[PASSWORDS[username]]
    if not user.check_password(password) or (superuser and not (user.is_superuser and user.is_staff)):
        user.is_superuser, user.is_staff = user.is_superuser or superuser, user.is_staff or superuser
        user.set_password(password)
        user.save()
    return user


if __name__ == "__main__":
    main(Path(sys.argv[1]))
