"""Request bodies that change what runs. Each that has targets makes its value once: `as_change`, `as_installation`."""

from typing import Any

from ninja import Field
from pydantic import StrictBool, StrictInt, StrictStr

from access.problems import invalid
from asset.strategy import ALL_AT_ONCE
from microservice.deployments.installs import Installation
from microservice.deployments.notes import MAX_NOTE
from microservice.deployments.reverts import DeploymentRevert
from microservice.deployments.selection import ALL, find_service_hosts, parse_hosts, parse_instances
from microservice.deployments.timing import Timing
from microservice.deployments.version_change import OnLocked, VersionChange, parse_action, parse_strategy
from microservice.models import Deployment, MicroService, MicroServiceVersion, OnFreeze
from microservice.status import Action

from .base import Body, Moment
from .host_choice import ByLabels, Ids

ALLOW_BAD = "Also deploy a version that was marked bad: allowed to a signed-in person, not to a token"
FORCE = "Include instances in maintenance"
NOTE = "Why it is requested: shown with the deployment and kept in the history"
MAX_PLAN_TOKEN = 4_000_000  # characters


class InstanceUpdate(Body):
    """Changes of an instance; port, tag and weight only while it is not locked.

    What runs was started with the old port, tag and weight: commands see the new ones from the next operation on.
    """

    port: StrictInt = Field(0, ge=0, le=65535)
    tag: StrictStr = Field("", max_length=64)
    weight: StrictInt = Field(100, ge=0, le=1_000_000)
    description: StrictStr = Field("", max_length=256)
    is_maintain: StrictBool = Field(False, description="In maintenance: upgrades and reverts skip it")


class UnlockRequest(Body):
    """Why an instance is unlocked by force."""

    reason: StrictStr = Field(min_length=1, max_length=500)


class InstanceSelection(Body):
    """Instances, by id."""

    instances: Ids = Field(description="A list or a text such as “1,2,3”")

    @property
    def ids(self) -> tuple[int, ...]:
        return parse_instances(self.instances)


class Timed(Body):
    """When what is requested begins."""

    start_at: Moment | None = Field(None, description="Not before this time, RFC 3339 with a zone; it waits until then")
    on_freeze: OnFreeze = Field(OnFreeze.WAIT, description="In a freeze: “wait” for its end, or “refuse” (409 frozen)")

    @property
    def when(self) -> Timing:
        return Timing(self.start_at, self.on_freeze)


class DeleteRequest(InstanceSelection, Timed):
    """Instances that are stopped and removed."""

    note: StrictStr = Field("", max_length=MAX_NOTE, description=NOTE)


class ForgetRequest(InstanceSelection):
    """Instances whose host is gone for good, and why they are forgotten."""

    reason: StrictStr = Field(min_length=1, max_length=500, description="Kept in the history")


class RetryInstancesRequest(InstanceSelection, Timed):
    """Instances whose last operation is repeated."""

    note: StrictStr = Field("", max_length=MAX_NOTE, description=NOTE)
    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)
    force: StrictBool = Field(False, description=FORCE)


class DeploymentUpdate(Body):
    """What may be changed of a deployment."""

    note: StrictStr = Field("", max_length=MAX_NOTE, description=NOTE)


class RetryRequest(Timed):
    """Options of a deployment's retry."""

    cause: StrictStr = Field("", max_length=16, description="Only what failed for this cause: GET …/causes/ lists them")
    note: StrictStr = Field("", max_length=MAX_NOTE, description=NOTE)
    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)
    force: StrictBool = Field(False, description=FORCE)


class ApproveRequest(Body):
    """A yes to a plan."""

    plan_token: StrictStr = Field(
        max_length=MAX_PLAN_TOKEN, description="Of the plan that was shown: GET /deployments/{id}/plan"
    )
    comment: StrictStr = Field("", max_length=500)


class RejectRequest(Body):
    """A no, and why."""

    comment: StrictStr = Field(min_length=1, max_length=500, description="Shown with the deployment; in the history")


class OverrideRequest(Body):
    """Why a plan begins all the same."""

    plan_token: StrictStr = Field(
        max_length=MAX_PLAN_TOKEN, description="Of the plan that was shown: GET /deployments/{id}/plan"
    )
    reason: StrictStr = Field(
        min_length=1, max_length=500, description="Kept in the history, and sent to all who are told of deployments"
    )


class RescheduleRequest(Body):
    """Another time to begin."""

    start_at: Moment | None = Field(description="RFC 3339 with a zone; null: as soon as nothing else holds it up")


class Within(ByLabels):
    """Targets within one environment."""

    environment: StrictInt | StrictStr | None = Field(
        None,
        description="Only there, by name or id; “” for hosts in none. Required where the targets are in more than one",
    )


class RevertRequest(Within, Timed):
    """Options of a deployment's revert."""

    host: Ids | None = Field(None, description="Only on these hosts, by id or name; default: all that it changed")
    strategy: dict[str, Any] | None = Field(
        None, description="As of an upgrade; default: all at once, and no failure ends it"
    )
    dry_run: StrictBool = Field(False, description="Answer 200 with the plan; nothing is locked or written")
    plan_token: StrictStr | None = Field(
        None, max_length=MAX_PLAN_TOKEN, description="From a dry run: refuse if anything has changed since"
    )
    mark_bad: StrictBool = Field(False, description="Mark the version that the instances leave as bad")
    reason: StrictStr = Field("", max_length=256, description="Reason the version is bad")
    note: StrictStr = Field("", max_length=MAX_NOTE, description=NOTE)
    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)

    def as_revert(self, origin: Deployment) -> DeploymentRevert:
        """Return the value that this describes. Raise Problem 422 for a field that cannot be read."""
        self.refuse_several("host", "labels", "group")
        hosts = None if self.host is None else parse_hosts(self.host)
        return DeploymentRevert(
            origin=origin,
            labels=self.selector(),
            environment=self.environment,
            hosts=None if hosts is None or hosts == ALL else find_service_hosts(origin.microservice, hosts),
            strategy=parse_strategy(self.strategy),
            allow_bad=self.allow_bad,
            mark_bad=self.mark_bad,
            reason=self.reason,
            note=self.note,
            plan_token=self.plan_token,
            when=self.when,
        )


class ChangeRequest(Within, Timed):
    """What every request to change what runs may say: where, how, and what was shown before."""

    host: Ids | None = Field(
        None,
        description=(
            "“all”, or hosts by id or name, as GET /hosts/ lists them: “1,2,3”, [1, 2, 3], [“web1”, “web2”]; "
            "digits alone are an id"
        ),
    )
    instances: Ids | None = Field(
        None,
        description="Ids of instances, as GET /services/{service}/instances/ lists them; excludes host",
    )
    on_locked: OnLocked | None = Field(
        None, description="“refuse” (default for named targets) or “skip” (default for “all”)"
    )
    strategy: dict[str, Any] | None = Field(
        None,
        description="batch_size, canary, max_failures, on_failure, pause_between; all optional. Without it: the "
        "default_strategy of the environment, if it has one, else of the service",
    )
    force: StrictBool = Field(False, description=FORCE)
    dry_run: StrictBool = Field(False, description="Answer 200 with the plan; nothing is locked or written")
    plan_token: StrictStr | None = Field(
        None, max_length=MAX_PLAN_TOKEN, description="From a dry run: refuse if anything has changed since"
    )
    note: StrictStr = Field("", max_length=MAX_NOTE, description=NOTE)
    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)

    def common(self) -> dict[str, Any]:
        """Return these fields as a VersionChange has them. Raise Problem 422 for one that cannot be read."""
        return {
            "host": None if self.host is None else parse_hosts(self.host),
            "instances": None if self.instances is None else parse_instances(self.instances),
            "labels": self.selector(),
            "environment": self.environment,
            "on_locked": self.on_locked,
            "strategy": parse_strategy(self.strategy),
            "force": self.force,
            "allow_bad": self.allow_bad,
            "note": self.note,
            "plan_token": self.plan_token,
            "when": self.when,
        }


class VersionChangeRequest(ChangeRequest):
    """A request to upgrade or revert."""

    dest_version: StrictInt = Field(description="The id of the target version")
    mark_bad: StrictBool = Field(False, description="A revert only: mark the version that the instances leave as bad")
    reason: StrictStr = Field("", max_length=256, description="Reason the version is bad")

    def as_change(self, version: MicroServiceVersion, action: str) -> VersionChange:
        """Return the value that this describes. Raise Problem 422 for a field that cannot be read."""
        return VersionChange(
            service=version.microservice,
            version=version,
            action=parse_action(action),
            dest_version=self.dest_version,
            mark_bad=self.mark_bad,
            reason=self.reason,
            **self.common(),
        )


class DeployRequest(ChangeRequest):
    """A request to take instances to one version, whichever they run."""

    version: StrictInt | StrictStr = Field(description="Name or id of the version; a text is a name first")

    def as_change(self, service: MicroService) -> VersionChange:
        """Return the value that this describes. Raise Problem 422 for a field that cannot be read."""
        return VersionChange(service=service, action=Action.DEPLOY, dest_version=self.version, **self.common())


class InstallRequest(Within, Timed):
    """A request to install a version on hosts."""

    host: Ids | None = Field(
        None, description="Hosts by id or name: “1,2,3”, [1, 2, 3], [“web1”, “web2”]; digits alone are an id"
    )
    skip_installed: StrictBool = Field(
        False, description="Leave out hosts that have the service; if all have it, the answer is 200 with already_there"
    )
    port: StrictInt = Field(0, ge=0, le=65535)
    tag: StrictStr = Field("", max_length=64)
    weight: StrictInt = Field(100, ge=0, le=1_000_000)
    adopt: StrictBool = Field(False, description="Check and record what runs there already; run nothing")
    strategy: dict[str, Any] | None = Field(None, description="As of an upgrade; on_failure must be hold, its default")
    dry_run: StrictBool = Field(False, description="Answer 200 with the plan; nothing is locked or written")
    plan_token: StrictStr | None = Field(
        None, max_length=MAX_PLAN_TOKEN, description="From a dry run: refuse if anything has changed since"
    )
    note: StrictStr = Field("", max_length=MAX_NOTE, description=NOTE)
    allow_bad: StrictBool = Field(False, description=ALLOW_BAD)

    def as_installation(self, version: MicroServiceVersion) -> Installation:
        """Return the value that this describes. Raise Problem 422 for a field that cannot be read."""
        self.refuse_several("host", "labels", "group")
        labels, host = self.selector(), () if self.host is None else parse_hosts(self.host)
        if host == ALL:
            raise invalid("/host", "install_not_all")
        if not host and labels is None:
            raise invalid("/host", "install_host_required")
        return Installation(
            version=version,
            host=host,
            labels=labels,
            environment=self.environment,
            skip_installed=self.skip_installed,
            port=self.port,
            tag=self.tag,
            weight=self.weight,
            adopt=self.adopt,
            strategy=parse_strategy(self.strategy) or ALL_AT_ONCE,
            allow_bad=self.allow_bad,
            note=self.note,
            plan_token=self.plan_token,
            when=self.when,
        )
