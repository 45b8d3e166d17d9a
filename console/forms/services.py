"""The console's forms: text as people type it becomes the values that the API takes. The rules are the API's own.

A form refuses only what it cannot read; what is read goes to the same functions that the API calls, and what they
refuse is put back at the field that it names (`blame`).
"""

from django import forms
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from access.callers import SCOPES
from access.problems import Problem
from deployer.engine import text
from messages.rendering import term
from microservice.catalog.ownership import BUILD_FIELDS
from microservice.models import MicroService

from .fields import Environment, Form, JSONText, Words


def add_problem(form: forms.Form, problem: Problem) -> None:
    """Puts a refusal's reasons at the fields they name, the rest on top. The form keeps everything that was typed."""
    placed = False
    for error in problem.errors:
        name = str(error.get("pointer", "")).lstrip("/").split("/")[0]
        if name in form.fields:
            form.add_error(name, error.get("reason", problem.detail))
            placed = True
    if not placed:
        form.add_error(None, f"{problem.detail} {problem.hint}".strip())


def terms(choices: list[tuple]) -> list[tuple]:
    return [(value, lazy(term, str)(label)) for value, label in choices]


def _command(label, hint="") -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        required=False,
        strip=False,
        widget=forms.Textarea({"rows": 2, "spellcheck": "false"}),
    )


def encoding(hint, unset) -> forms.ChoiceField:
    choices = [("", unset), *text.KNOWN.items()]
    return forms.ChoiceField(label=_("Encoding of the output"), choices=choices, required=False, help_text=hint)


class NewServiceForm(Form):
    """The least a service needs; the rest has a page of its own."""

    name = forms.CharField(
        label=_("Name"),
        max_length=64,
        help_text=_("Letters, digits and . _ + -; not only digits."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    language = forms.ChoiceField(
        label=_("Language"), choices=terms(MicroService.Language.choices), initial=MicroService.Language.OTHER
    )
    description = forms.CharField(label=_("Description"), max_length=256, required=False)


class ServiceForm(Form):
    """How a service is described, deployed and built."""

    description = forms.CharField(label=_("Description"), max_length=256, required=False)
    language = forms.ChoiceField(label=_("Language"), choices=terms(MicroService.Language.choices))
    start_command = _command(
        _("Start"),
        _(
            "Returns once the service is launched. Sees SERVICE VERSION RELEASE CURRENT SHARED HOST PORT TAG WEIGHT. "
            "What the service prints is shown until the operation ends, and then thrown away: send its own log to a "
            'file in $SHARED (>>"$SHARED/serve.log" 2>&1), to the journal (systemd-cat) or to syslog (logger).'
        ),
    )
    stop_command = _command(_("Stop"))
    check_command = _command(_("Check"), _("Repeated until it succeeds or the time is over."))
    check_timeout = forms.IntegerField(label=_("Check for at most (seconds)"), min_value=1, max_value=86400)
    pre_command = _command(_("Before"), _("For example: take the instance out of traffic."))
    pre_undo_command = _command(_("Undo of “before”"))
    post_command = _command(_("After"), _("For example: back into traffic."))
    post_undo_command = _command(_("Undo of “after”"))
    environment = Environment(
        label=_("Environment"),
        help_text=_(
            "NAME=value, one a line. A value with several lines, a quote or blanks at its ends stands in double quotes."
        ),
    )
    steps = JSONText(
        label=_("Steps of its own"),
        empty="[]",
        rows=6,
        help_text=_(
            'A JSON list of {"name", "before": "stop|link|start|check|post", "run", "undo", "check"}. '
            "A step without undo cannot be undone."
        ),
    )
    run_as = forms.CharField(
        label=_("User on hosts"),
        max_length=32,
        required=False,
        help_text=_(
            "The commands run as this user, through sudo -n -u, and see nothing of other services. It must exist on "
            "every host. Empty: they run as the user that deploys."
        ),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    private_releases = forms.BooleanField(
        label=_("Private releases"),
        required=False,
        help_text=_("Only this user’s group and the user that deploys can read the releases on a host."),
    )
    encoding = encoding(
        _("Of what its commands print. The bytes are kept as they come, so it may be set afterwards."),
        _("as the host’s"),
    )
    keep_releases = forms.IntegerField(label=_("Releases kept on a host"), min_value=1, max_value=100)
    limits = JSONText(
        label=_("Limits"), empty="{}", rows=3, help_text=_("Limits of time and output, as a JSON object.")
    )
    build_orig = forms.ChoiceField(label=_("Built by"), choices=terms(MicroService.Origin.choices))
    build_url = forms.CharField(label=_("Where it is built from"), max_length=500, required=False)
    build_username = forms.CharField(
        label=_("User of the repository"),
        max_length=128,
        required=False,
        help_text=_("For https; its password or token is set below."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    build_command = _command(
        _("Build command"), _("Run in a fresh checkout; what it leaves in $OUT, or else all of it, is packed.")
    )
    build_refs = Words(
        label=_("Branches and tags that are built"),
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Patterns with spaces between them, such as: main release/* v*. Empty: every branch and tag."),
    )
    build_depth = forms.IntegerField(
        label=_("Commits of the history in a checkout"),
        required=False,
        min_value=0,
        max_value=1_000_000,
        help_text=_("0: all of it, with every tag, as git describe needs it. 1: the commit alone."),
    )
    auto_deploy_tag = forms.CharField(
        max_length=64,
        required=False,
        label=_("Follow new builds"),
        help_text=_("Tag of the instances that follow each new build."),
    )

    GROUPS = (
        (_("What it is"), ("description", "language")),
        (_("Commands"), ("start_command", "stop_command", "check_command", "check_timeout")),
        (_("Hooks"), ("pre_command", "pre_undo_command", "post_command", "post_undo_command")),
        (_("User on hosts"), ("run_as", "private_releases")),
        (_("Surroundings"), ("environment", "encoding", "steps", "keep_releases", "limits")),
        (
            _("Builds"),
            (
                "build_orig",
                "build_url",
                "build_username",
                "build_command",
                "build_refs",
                "build_depth",
                "auto_deploy_tag",
            ),
        ),
    )

    def __init__(self, *args, may_build: bool = True, **more):
        super().__init__(*args, **more)
        said = _("Decides what runs on build machines: to change it takes the right “build”.")
        for name in () if may_build else BUILD_FIELDS.intersection(self.fields):
            # Disabled, a field keeps its initial value whatever is sent.
            self.fields[name].disabled, self.fields[name].help_text = True, said

    def clean_build_depth(self):
        """Left empty, it stays as it is."""
        depth = self.cleaned_data["build_depth"]
        return self.initial.get("build_depth", 0) if depth is None else depth

    def groups(self):
        """Its fields under their headings, for the template."""
        return [(title, [self[name] for name in names]) for title, names in self.GROUPS]


class VersionForm(Form):
    version = forms.CharField(
        label=_("Version"),
        max_length=128,
        help_text=_("CI's form is timestamp-branch-commit."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    ref = forms.CharField(label=_("Branch"), max_length=250, initial="master")
    description = forms.CharField(label=_("Description"), max_length=256, required=False)


class TokenForm(Form):
    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("Who or what will use it."))
    scopes = forms.MultipleChoiceField(
        label=_("Rights"), choices=terms([(scope, scope) for scope in SCOPES]), widget=forms.CheckboxSelectMultiple
    )
    services = forms.CharField(
        label=_("Services"),
        required=False,
        max_length=4000,
        help_text=_("For these services only: their names, with spaces between them. Empty: for all that you may see."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    days = forms.IntegerField(
        label=_("Valid for (days)"),
        min_value=1,
        max_value=3650,
        required=False,
        help_text=_("Leave empty for the usual time."),
    )
    endless = forms.BooleanField(label=_("Valid until it is revoked (for administrators)"), required=False)
