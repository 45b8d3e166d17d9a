"""The objects for the test of every right: one of everything for each team and for none, and the callers."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.utils import timezone

from access.models import Membership, Session, Team, Token
from access.tokens import make_token
from asset.models import Asset, Credential, Environment, HostGroup
from builds.models import Build
from callbacks import subscriptions as callback_rules
from callbacks.models import Delivery
from integrations.models import Setting
from microservice.models import Freeze, MicroServiceInstance, Train, TrainPart
from microservice.status import DeploymentStatus, OperationStatus, TrainStatus
from tests import factories
from tests.access.permission_model import SCOPES, Who

TEAMS = ("red", "blue")
THINGS = (*TEAMS, "nobody")


class Things:
    """One of everything for each team and for none (`of[thing]`: {name: id}), and what has no team (`shared`)."""

    def __init__(self) -> None:
        self.teams = {name: Team.objects.create(name=name) for name in TEAMS}
        now = timezone.now()
        other = get_user_model().objects.create_user("bystander")
        self.shared = {
            # Nothing listens there: a check is refused at once.
            "host": Asset.objects.create(hostname="spare", ip="127.0.0.1", port=1).pk,
            "host_group": HostGroup.objects.create(name="spare", labels={"zone": None}).pk,
            "environment": Environment.objects.create(name="spare").pk,
            "freeze": Freeze.objects.create(
                name="spare", reason="none", everywhere=True, start=now, end=now + timedelta(hours=1)
            ).pk,
            "credential": Credential.objects.create(name="key", kind="password").pk,
            "user": other.pk,
            "token": make_token(other, "theirs", ["read"])[0].pk,
            "session": Session.objects.create(user=other, digest="theirs", data="").pk,
            "setting": Setting.objects.create(document="{}").pk,
            "callback": _callback(),
        }
        self.shared["delivery"] = Delivery.objects.create(
            callback_id=self.shared["callback"], event="test", name="one", until=timezone.now(), body="{}"
        ).pk
        self.of = {thing: self._service(thing) for thing in THINGS}

    def _service(self, thing: str) -> dict:
        team = self.teams.get(thing)
        service = factories.service(f"of-{thing}", team=team)
        old, new = factories.versions(service, 2)
        running = factories.instances(old, factories.hosts(1, prefix=f"{thing}-"))
        made = factories.deployment(running, new, DeploymentStatus.FAILED, OperationStatus.UNDONE)
        Build.objects.create(version=old, origin="git", status=2)
        train = Train.objects.create(name="autumn", status=TrainStatus.HELD)
        TrainPart.objects.create(train=train, stage=0, position=0, service=service, version=new)
        ids = {
            "train": train.pk,
            "service": service.pk,
            "name": service.name,
            "version": old.pk,
            "newer": new.pk,
            "instance": MicroServiceInstance.objects.get(microservice=service).pk,
            "deployment": made.pk,
            "operation": made.operations.get().pk,
        }
        if team:
            member = get_user_model().objects.create_user(f"member-of-{thing}")
            Membership.objects.create(team=team, user=member, role="viewer")
            ids |= {"team": team.pk, "member": member.pk}
        return ids


def _callback() -> int:
    from access.callers import SYSTEM

    return callback_rules.create(SYSTEM, {"url": "https://example.com/"})[0].pk


class Callers:
    """Callers of every kind: what the document is asked about (Who), and what shows them to the product."""

    def __init__(self, things: Things) -> None:
        self.users = {"": get_user_model().objects.create_user("no-role")}
        for role in ("viewer", "publisher", "deployer", "owner"):
            self.users[role] = get_user_model().objects.create_user(role)
            Membership.objects.create(team=things.teams["red"], user=self.users[role], role=role)
        # The other team has an owner too: the rule that a team keeps an owner is not in the way.
        self.users["admin"] = get_user_model().objects.create_superuser("root")
        for team in things.teams.values():
            Membership.objects.create(
                team=team, user=get_user_model().objects.create_user(f"keeper-of-{team}"), role="owner"
            )
        self.bound = {thing: things.of[thing]["service"] for thing in THINGS}

    def people(self) -> list[tuple[Who, object]]:
        """(who, the user who is signed in)."""
        return [(self._who(role, role or "no role"), user) for role, user in self.users.items()]

    def tokens(self, role: str) -> list[tuple[Who, str]]:
        """(who, the token's text): each single scope, and some of them for one service."""
        found = [self._token(role, [scope]) for scope in SCOPES]
        return found + [self._token(role, scopes, "red") for scopes in (SCOPES, ["admin"], ["read"])]

    def tokens_for_another_service(self) -> list[tuple[Who, str]]:
        return [self._token("admin", SCOPES, thing) for thing in ("blue", "nobody")]

    def unrecognised(self) -> list[tuple[Who, str]]:
        changes = {
            "expired": {"expires": timezone.now() - timedelta(seconds=1)},
            "revoked": {"revoked": timezone.now()},
            "made up": {"digest": "x"},
        }
        found = []
        for name, change in changes.items():
            row, text = make_token(self.users["admin"], name, SCOPES)
            Token.objects.filter(pk=row.pk).update(**change)
            found.append((Who(name, admin=True, scopes=frozenset(SCOPES), known=False), text))
        return found

    def _who(self, role: str, name: str, **more) -> Who:
        roles = {} if role in ("", "admin") else {"red": role}
        return Who(name, roles, admin=role == "admin", **more)

    def _token(self, role: str, scopes, thing: str = "") -> tuple[Who, str]:
        name = f"{role}'s token for {', '.join(scopes)}{' of ' + thing if thing else ''}"
        row, text = make_token(self.users[role], "t", scopes, services=[self.bound[thing]] if thing else ())
        Token.objects.filter(pk=row.pk).update(last_used=timezone.now())  # or each request would note it
        return self._who(role, name, scopes=frozenset(scopes), service=thing), text
