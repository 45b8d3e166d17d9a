"""Build a version from its git repository, on this machine."""

from access.callers import SYSTEM, Caller
from messages import Message
from microservice.publishing import upload
from microservice.status import BuildStatus

from . import build_requests, servers
from .jobs import job_of
from .leases import Lease
from .models import Build


def build(row: Build, lease: Lease) -> None:
    """Build it to its end. Raise BuildRefused, BuildTimedOut, ProviderUnreachable, a Problem, or LeaseLost."""
    git, job = servers.git(), job_of(row)
    commit = git.commit(job, lease)
    if end_duplicate(row, commit):
        return
    lease.renew(**build_requests.started_fields(row))
    try:
        with git.built(job, commit, lease) as package, package.open("rb") as file:
            caller = Caller(name=row.requested_by or SYSTEM.name, scopes=SYSTEM.scopes)
            # A worker that lost the build stores nothing: the transaction that stores the package checks the row.
            upload.store(caller, row.version, upload.Body(file, package.stat().st_size), claim=lease.renew)
    finally:
        lease.write_log()
    build_requests.end(row, BuildStatus.SUCCESS, owner=lease.owner)


def end_duplicate(build: Build, commit: str) -> bool:
    """End the build as a duplicate if another builds or built the same commit. Return whether it did."""
    same = build_requests.record_commit(build, commit)
    if same is None:
        return False
    params = {"commit": commit[:12], "version": same.version.version, "id": same.version_id}
    build_requests.end(
        build, BuildStatus.DUPLICATE, Message("build_duplicate", params), duplicate_of=same, owner=build.owner
    )
    return True
