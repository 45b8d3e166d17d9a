"""A service that runs as its own user: a real worker, a real host, real sudo."""

import pwd
import shutil
import tempfile
from pathlib import Path

import pytest

from microservice.models import Operation
from microservice.status import DeploymentStatus
from tests.lab import users
from tests.lab.fleet import Fleet
from tests.lab.sshd import Sshd

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(users.why_not()), reason=users.why_not() or "-"),
]
CANARY = "canary-9c1"


@pytest.fixture
def place():
    """Yield a folder that every user may enter: the test run's own is private."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_runs_as_its_own_user(transactional_db, worker, place):
    with users.made(("shop",)) as (name,), Sshd(place / "host") as host:
        fleet = Fleet([host], run_as=name, private_releases=True, environment={"DB_PASSWORD": CANARY})
        worker()
        assert fleet.install().status == DeploymentStatus.SUCCEEDED, errors()
        assert fleet.go("upgrade", 0, 1).status == DeploymentStatus.SUCCEEDED, errors()
        fleet.agrees(1)
        pid = int((fleet.folder() / "shared" / "pid").read_text())
        assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam(name).pw_uid
        assert (fleet.folder() / "releases").stat().st_mode & 0o777 == 0o750
        ours = [path for path in (fleet.folder() / ".deployer").rglob("*") if path.is_file()]
        assert ours and not [path for path in ours if CANARY.encode() in path.read_bytes()]
        assert fleet.go("revert", 1, 0).status == DeploymentStatus.SUCCEEDED, errors()
        fleet.service.run_as = "no-such-user"
        fleet.service.save()
        refused = fleet.go("upgrade", 0, 2)
        assert refused.status == DeploymentStatus.FAILED
        assert "this host has no user no-such-user" in refused.operations.get().error
        fleet.agrees(0)


def errors() -> list[str]:
    return list(Operation.objects.values_list("error", flat=True))
