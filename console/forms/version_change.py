"""The forms of the dialogs that change what runs: upgrade, revert and install. Each makes the value of its request."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from access.problems import Problem
from asset.strategy import ALL_AT_ONCE, Strategy
from microservice.deployments import reverts
from microservice.deployments.default_strategy import default_strategy
from microservice.deployments.installs import Installation
from microservice.deployments.notes import MAX_NOTE
from microservice.deployments.reverts import DeploymentRevert
from microservice.deployments.timing import Timing
from microservice.deployments.version_change import VersionChange
from microservice.models import Deployment, MicroServiceVersion, OnFreeze
from microservice.status import Action

from .strategy import StrategyFields, as_typed, number_field
from .targets import TargetFields
from .waiting import StartAt

CAUTIOUS = Strategy(canary=1, batch_size="20%")  # proposed for many hosts of a service without a strategy
MANY = 10  # hosts that change at the same moment: the dialog then proposes batches
# Parameters that no other page of a dialog has.
OF_ONE_PAGE = ("csrfmiddlewaretoken", "key", "plan_token", "part", "after", "plan_list", "plan_after")
MARKED_BAD = _("API tokens and automation will no longer deploy it. Signed-in users still can, explicitly.")


class StrategyForm(StrategyFields):
    """How a deployment works through its hosts; `cleaned_data["strategy"]` is the Strategy.

    A dialog is always bound: what is chosen so far stands in the address, so that its plan can be shown. The preset
    strategy holds until the dialog was shown: from then on an empty field says that it is empty.
    """

    DEFAULTS: dict[str, str] = {}
    TIMING = ("start_at", "on_freeze")

    note = forms.CharField(
        label=_("Note"),
        max_length=MAX_NOTE,
        required=False,
        widget=forms.TextInput({"data-note": True, "placeholder": _("Why? Shown with the deployment.")}),
    )
    shown = forms.CharField(required=False, widget=forms.HiddenInput())  # the dialog was, with all of its fields
    start_at = StartAt(label=_("Begin at"), help_text=_("Empty: at once."))
    on_freeze = forms.ChoiceField(
        label=_("In a freeze"),
        required=False,
        choices=[(OnFreeze.WAIT.value, _("Wait for its end")), (OnFreeze.REFUSE.value, _("Refuse it"))],
    )
    plan_token = forms.CharField(required=False, strip=False, widget=forms.HiddenInput())

    def __init__(self, data: QueryDict, **more: Any) -> None:
        data = data.copy()
        defaults = self.DEFAULTS if data.get("shown") else {**as_typed(self.preset().to_json()), **self.DEFAULTS}
        for name, value in {**defaults, "shown": "1"}.items():
            data.setdefault(name, str(value))
        self.chosen = data
        super().__init__(data, **{"auto_id": "%s", **more})

    def add_problem(self, problem: Problem) -> None:
        """Show the reasons of a refusal beside the fields that it names; the refusal itself is shown as a whole."""
        for error in problem.field_errors:
            name = error.pointer.rpartition("/")[2]
            if name in self.shown_fields and name not in self.errors:
                self.add_error(name, error.text)

    def preset(self) -> Strategy:
        """Return the strategy that the dialog proposes at first."""
        return ALL_AT_ONCE

    @property
    def shown_fields(self) -> tuple[str, ...]:
        """The fields that have a place for their errors."""
        return (
            "host",
            "environment",
            "note",
            *self.TIMING,
            *(name for name in (*self.STRATEGY, *TargetFields.BY_LABEL) if name in self.fields),
        )

    @property
    def when(self) -> Timing:
        """When a valid form's deployment is to begin."""
        data = self.cleaned_data
        return Timing(data["start_at"], OnFreeze(data["on_freeze"] or OnFreeze.WAIT))

    @property
    def is_timed(self) -> bool:
        """Whether something was said about when it begins: the fields of it are then unfolded."""
        on_freeze = self["on_freeze"].value() or OnFreeze.WAIT.value
        return bool(self["start_at"].value()) or on_freeze != OnFreeze.WAIT.value

    def choices(self) -> QueryDict:
        """Return the dialog's address: what is chosen so far, without what belongs to one page of it."""
        query = self.chosen.copy()
        for name in OF_ONE_PAGE:
            query.pop(name, None)
        return query

    def caution(self, batches: list[int], default: Strategy) -> dict[str, Any]:
        """Return how many hosts change at the same moment, and this dialog with a strategy; {} where they are few.

        The strategy: the `default` one, where it parts these hosts (`own`), or a cautious one. `query`: the
        dialog's address with it; `fields`: the names of the fields that it sets.
        """
        if len(batches) != 1 or batches[0] < MANY:
            return {}
        own = len(default.batches(batches[0])) > 1
        query = self.choices()
        for name in self.STRATEGY:
            query.pop(name, None)
        typed = as_typed((default if own else CAUTIOUS).to_json())
        query.update({name: str(value) for name, value in typed.items()})
        return {"count": batches[0], "own": own, "query": query.urlencode(), "fields": " ".join(self.STRATEGY)}

    def confirmation(self, plan_token: str) -> "StrategyForm":
        """Return the same choices as hidden fields, with the token of the plan that is shown."""
        data = self.chosen.copy()
        data["plan_token"] = plan_token
        return type(self)(data, auto_id=False)


class ToVersionForm(TargetFields, StrategyForm):
    """A dialog that takes hosts to a version: its strategy is at first that of their environment, or of the service."""

    def __init__(self, data: QueryDict, version: MicroServiceVersion | None = None, **more: Any) -> None:
        self.version = version
        super().__init__(data, **more)

    def preset(self) -> Strategy:
        environment = self.place.environment if self.place else None
        return default_strategy(self.version.microservice, environment) if self.version else ALL_AT_ONCE

    def carried(self) -> QueryDict:
        """Return the choices that hold in another environment: a strategy that is preset here is none."""
        query = super().carried()
        typed = {name: str(one) for name in self.STRATEGY if (one := self[name].value())}
        if typed == {name: str(one) for name, one in as_typed(self.preset().to_json()).items()}:
            for name in ("shown", *self.STRATEGY):
                query.pop(name, None)
        return query


class VersionChangeForm(ToVersionForm):
    """The dialog of an upgrade or a revert."""

    DEFAULTS = {"where": "all"}

    dest_version = forms.IntegerField(
        error_messages={"required": _("Choose a version."), "invalid": _("Choose a version.")}
    )
    allow_bad = forms.BooleanField(required=False)
    mark_bad = forms.BooleanField(
        required=False,
        help_text=MARKED_BAD,
    )
    reason = forms.CharField(label=_("Reason"), max_length=256, required=False)

    def __init__(self, data: QueryDict, version: MicroServiceVersion | None = None, **more: Any) -> None:
        super().__init__(data, version, **more)
        from_version = version.version if version else ""
        self.fields["mark_bad"].label = gettext("Mark %(version)s as bad") % {"version": from_version}

    @property
    def shown_fields(self) -> tuple[str, ...]:
        return (*super().shown_fields, "mark_bad", "reason")

    def change(self, version: MicroServiceVersion, action: Action) -> VersionChange:
        """Return the value of a valid form."""
        data = self.cleaned_data
        reverts = action == Action.REVERT  # only there the dialog offers to mark the version
        return VersionChange(
            service=version.microservice,
            version=version,
            action=action,
            dest_version=data["dest_version"],
            **self.targets.as_change(),
            strategy=data["strategy"],
            allow_bad=data["allow_bad"],
            mark_bad=reverts and data["mark_bad"],
            reason=data["reason"] if reverts else "",
            note=data["note"],
            when=self.when,
            plan_token=data["plan_token"],
        )


class DeployForm(ToVersionForm):
    """The dialog that takes instances to one version, whichever they run."""

    DEFAULTS = {"where": "all"}

    allow_bad = forms.BooleanField(label=_("Deploy although it was marked bad"), required=False)

    def change(self, version: MicroServiceVersion) -> VersionChange:
        """Return the value of a valid form."""
        data = self.cleaned_data
        return VersionChange(
            service=version.microservice,
            action=Action.DEPLOY,
            dest_version=version.pk,
            **self.targets.as_change(),
            strategy=data["strategy"],
            allow_bad=data["allow_bad"],
            note=data["note"],
            when=self.when,
            plan_token=data["plan_token"] or None,
        )


class RevertForm(TargetFields, StrategyForm):
    """The dialog that takes back a deployment."""

    DEFAULTS = {"where": "all"}

    allow_bad = forms.BooleanField(label=_("Revert although it was marked bad"), required=False)
    mark_bad = forms.BooleanField(required=False, help_text=MARKED_BAD)
    reason = forms.CharField(label=_("Reason"), max_length=256, required=False)

    def __init__(self, data: QueryDict, origin: Deployment | None = None, **more: Any) -> None:
        self.origin = origin
        super().__init__(data, **more)
        leaves = origin.dest_version.version if origin and origin.dest_version else ""
        self.fields["mark_bad"].label = gettext("Mark %(version)s as bad") % {"version": leaves}

    def preset(self) -> Strategy:
        return reverts.default_strategy(self.origin) if self.origin else ALL_AT_ONCE

    @property
    def shown_fields(self) -> tuple[str, ...]:
        return (*super().shown_fields, "mark_bad", "reason")

    def revert(self, origin: Deployment) -> DeploymentRevert:
        """Return the value of a valid form."""
        data = self.cleaned_data
        return DeploymentRevert(
            origin=origin,
            hosts=self.targets.hosts,
            labels=self.targets.labels,
            environment=self.targets.environment,
            strategy=data["strategy"],
            allow_bad=data["allow_bad"],
            mark_bad=data["mark_bad"],
            reason=data["reason"] if data["mark_bad"] else "",
            note=data["note"],
            when=self.when,
            plan_token=data["plan_token"] or None,
        )


class InstallForm(TargetFields, StrategyForm):
    """The dialog of an install. It always holds on too many failures: there is no version to revert to."""

    DEFAULTS = {"where": "some", "port": "0", "weight": "100"}
    INSTANCE = ("port", "tag", "weight", "adopt")
    NEEDS_TICKS = False

    on_failure = None  # type: ignore[assignment]  # Django's way to drop an inherited field
    where = forms.ChoiceField(
        choices=[("some", ""), ("labels", ""), ("group", "")], required=False, widget=forms.RadioSelect()
    )
    port = number_field(_("Port"), required=True, min_value=0, max_value=65535)
    tag = forms.CharField(label=_("Tag"), max_length=64, required=False)
    weight = number_field(_("Weight"), required=True, min_value=0, max_value=1_000_000)
    adopt = forms.BooleanField(
        label=_("Adopt the running service"),
        required=False,
        help_text=_("Checks and records what runs there already; runs nothing."),
    )
    allow_bad = forms.BooleanField(label=_("Install although it was marked bad"), required=False)

    @property
    def shown_fields(self) -> tuple[str, ...]:
        return (*super().shown_fields, *self.INSTANCE, "allow_bad")

    def instance_fields(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.INSTANCE)

    def installation(self, version: MicroServiceVersion) -> Installation:
        """Return the value of a valid form that `names_hosts`."""
        data = self.cleaned_data
        names = ("port", "tag", "weight", "adopt", "strategy", "allow_bad", "note", "plan_token")
        return Installation(
            version=version,
            host=self.targets.hosts or (),
            labels=self.targets.labels,
            environment=self.targets.environment,
            when=self.when,
            **{name: data[name] for name in names},
        )
