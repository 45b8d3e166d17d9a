"""Run as a program of its own, on the database that will go away: who signs in, and a service with its hosts.

Reads what `Sshd` servers there are from the command line, as JSON, and how many lines its commands print; prints a
token and the ids, as JSON.
"""

import json
import sys
from types import SimpleNamespace

WORK = 'i=0; while [ $i -lt {} ]; do echo "line $i"; i=$((i+1)); sleep 0.4; done'


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.models import User

    from access.tokens import make_token
    from tests.lab.fleet import Fleet

    hosts = [SimpleNamespace(**one) for one in json.loads(sys.argv[1])]
    user = User.objects.create_superuser("ann", password="a-long-passphrase-of-ann")
    fleet = Fleet(hosts, versions=2, pre_command=WORK.format(int(sys.argv[2])), limits={"step_timeout": 3600})  # type: ignore[arg-type]
    print(
        json.dumps(
            {
                "token": make_token(user, "away", ["read", "publish", "deploy", "admin"])[1],
                "service": fleet.service.name,
                "versions": [version.pk for version in fleet.versions],
                "hosts": [host.pk for host in fleet.assets],
            }
        )
    )


if __name__ == "__main__":
    main()
