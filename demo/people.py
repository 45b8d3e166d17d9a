"""`python -m demo.people FILE`: makes the tables, the demo's superuser and a token with all scopes, and writes the
token to FILE, unless the one in FILE is good still. One process does all three: starting Django takes the longest.
"""

import os
import sys
from pathlib import Path

from .openssh import write_private
from .surroundings import USERNAME


def main(file: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
    import django

    django.setup()
    make(file)


def make(file: Path) -> None:
    """The same, where Django is loaded already."""
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    from django.contrib.auth import get_user_model

    user, _ = get_user_model().objects.get_or_create(username=USERNAME)
    password = os.environ["DEMO_PASSWORD"]
    if not (user.is_superuser and user.is_staff and user.check_password(password)):
        user.is_superuser = user.is_staff = True
        user.set_password(password)
        user.save()
    from access.callers import SCOPES
    from access.models import Token
    from access.tokens import digest_of, make_token

    last = Token.objects.filter(digest=digest_of(file.read_text().strip()), user=user, revoked=None, expires=None)
    if not any(set(token.scopes) == set(SCOPES) for token in last):  # one from before a scope was there is not enough
        _, text = make_token(user, "demo", SCOPES, created_by=USERNAME)
        write_private(file, text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
