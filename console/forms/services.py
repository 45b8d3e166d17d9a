"""The forms of services, versions and tokens.

A form rejects only what it cannot parse. The values go to the functions that the API calls, and what these refuse is
added to the field that the refusal names (`add_problem`).
"""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from access.callers import SCOPES, Caller
from access.problems import Problem
from deployer.engine import text
from messages.rendering import term
from microservice.catalog.ownership import BUILD_FIELDS
from microservice.models import MicroService

from .choosers import Chooser, Choosers
from .environments import EnvironmentField, drop_if_none
from .fields import Form, JSONText, Variables, Words


def add_problem(form: forms.Form, problem: Problem) -> None:
    """Add a refusal's reasons to the fields that they name, others to the form. The form keeps its input."""
    placed = False
    for error in problem.errors:
        name = str(error.get("pointer", "")).lstrip("/").split("/")[0]
        if name in form.fields:
            form.add_error(name, error.get("reason", problem.detail))
            placed = True
    if not placed:
        form.add_error(None, f"{problem.sentence} {problem.hint}".strip())


def terms(choices: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the choices with labels in the active language."""
    return [(value, lazy(term, str)(label)) for value, label in choices]


def _command(label: Any, hint: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        required=False,
        strip=False,
        widget=forms.Textarea({"rows": 2, "spellcheck": "false"}),
    )


def _link(label: Any, hint: Any) -> forms.CharField:
    widget = forms.TextInput({"inputmode": "url", "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=hint, max_length=500, required=False, widget=widget)


def encoding_field(hint: Any, unset: Any) -> forms.ChoiceField:
    choices = [("", unset), *text.KNOWN.items()]
    return forms.ChoiceField(label=_("Output encoding"), choices=choices, required=False, help_text=hint)


class NewServiceForm(Form):
    """The fields that a new service needs; the others are on its settings page."""

    name = forms.CharField(
        label=_("Name"),
        max_length=64,
        help_text=_("Letters, digits and . _ + - (not only digits)."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    language = forms.ChoiceField(
        label=_("Language"), choices=terms(MicroService.Language.choices), initial=MicroService.Language.OTHER
    )
    team = Chooser(
        "team",
        label=_("Team"),
        required=False,
        placeholder=_("none"),
        help_text=_("Only its members and administrators see the service."),
    )
    description = forms.CharField(label=_("Description"), max_length=256, required=False)


def _build_server_hint(caller: Caller | None) -> SafeString:
    """Say what is not obvious of a build server, and where one is configured: in another tab, or by whom."""
    image = gettext("With “image”, a Docker engine builds what the service's recipe says.")
    if caller is None or not caller.may("admin"):
        return format_html("{} {}", image, gettext("Only administrators can configure build servers."))
    link = '{} <a href="{}" target="_blank">{}</a>'
    return format_html(link, image, reverse("console:settings"), gettext("Configure build servers…"))


class ServiceForm(Form):
    """How a service is described, deployed and built."""

    description = forms.CharField(label=_("Description"), max_length=256, required=False)
    language = forms.ChoiceField(label=_("Language"), choices=terms(MicroService.Language.choices))
    start_command = _command(
        _("Start"),
        _(
            "Must return once the service has started. Variables: SERVICE INSTANCE VERSION RELEASE CURRENT SHARED HOST "
            "PORT TAG WEIGHT, and IMAGE for a version that is an image. Output of the service is shown until the "
            "operation ends and then discarded: log to a file "
            'in $SHARED (>>"$SHARED/serve.log" 2>&1), to the journal (systemd-cat) or to syslog (logger).'
        ),
    )
    stop_command = _command(_("Stop"))
    check_command = _command(_("Check"), _("Repeated until it succeeds or times out."))
    check_timeout = forms.IntegerField(label=_("Check timeout (seconds)"), min_value=1, max_value=86400)
    pre_command = _command(_("Pre hook"), _("For example, take the instance out of the load balancer."))
    pre_undo_command = _command(_("Undo pre hook"))
    post_command = _command(_("Post hook"), _("For example, put the instance back into the load balancer."))
    post_undo_command = _command(_("Undo post hook"))
    environment = Variables(
        label=_("Environment"),
        help_text=_(
            "One NAME=value per line. Use double quotes for values with line breaks, quotes or surrounding blanks."
        ),
    )
    steps = JSONText(
        label=_("Custom steps"),
        empty="[]",
        rows=6,
        help_text=_(
            'A JSON list of {"name", "before": "stop|link|start|check|post", "run", "undo", "check"}. '
            "Steps without “undo” cannot be undone."
        ),
    )
    run_as = forms.CharField(
        label=_("User on hosts"),
        max_length=32,
        required=False,
        help_text=_(
            "Commands run as this user (sudo -n -u), isolated from other services. It must exist on every host. Leave "
            "empty to run as the SSH user."
        ),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    private_releases = forms.BooleanField(
        label=_("Private releases"),
        required=False,
        help_text=_("Only this user’s group and the SSH user can read the releases on a host."),
    )
    encoding = encoding_field(
        _("Of the output of its commands. Output is stored unchanged, so this can be set later."),
        _("as set for the host"),
    )
    keep_releases = forms.IntegerField(label=_("Releases kept on a host"), min_value=1, max_value=100)
    limits = JSONText(label=_("Limits"), empty="{}", rows=3, help_text=_("Time and output limits, as a JSON object."))
    build_orig = forms.ChoiceField(
        label=_("Build server"),
        choices=terms(MicroService.Origin.choices),
    )
    build_url = forms.CharField(label=_("Build source"), max_length=500, required=False)
    build_username = forms.CharField(
        label=_("Repository user"),
        max_length=128,
        required=False,
        help_text=_("For https; set the password or token below."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    build_command = _command(
        _("Build command"),
        _("Runs in a fresh checkout. The contents of $OUT are packaged, or the whole checkout if $OUT is empty."),
    )
    build_refs = Words(
        label=_("Branches and tags to build"),
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Patterns separated by spaces, for example: main release/* v*. Leave empty for all."),
    )
    build_depth = forms.IntegerField(
        label=_("Checkout depth (commits)"),
        required=False,
        min_value=0,
        max_value=1_000_000,
        help_text=_("0 for the full history with all tags (required by git describe), 1 for the commit only."),
    )
    auto_deploy_environment = EnvironmentField(
        label=_("Auto-deploy environment"),
        empty_label=pgettext_lazy("environment", "none"),
        help_text=_("Each new build is deployed there by itself, under the rules of the environment."),
    )
    auto_deploy_tag = forms.CharField(
        max_length=64,
        required=False,
        label=_("Auto-deploy tag"),
        help_text=_("Instances with this tag are upgraded to each new build."),
    )
    auto_deploy_refs = Words(
        label=_("Auto-deploy branches"),
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Patterns separated by spaces, for example: main release/*. Leave empty for all."),
    )

    repository_url = _link(_("Repository"), _("Leave empty to use the build source, if it is at a known forge."))
    ci_url = _link(_("CI"), _("The page of its pipelines."))
    commit_url = _link(
        _("Commits"),
        _("The page of a commit, with {commit} in place of its hash. Leave empty for repositories at a known forge."),
    )

    GROUPS = (
        (_("General"), ("description", "language")),
        (_("Links"), ("repository_url", "ci_url", "commit_url")),
        (_("Commands"), ("start_command", "stop_command", "check_command", "check_timeout")),
        (_("Hooks"), ("pre_command", "pre_undo_command", "post_command", "post_undo_command")),
        (_("User on hosts"), ("run_as", "private_releases")),
        (_("Environment and limits"), ("environment", "encoding", "steps", "keep_releases", "limits")),
        (_("Builds"), ("build_orig", "build_url", "build_username", "build_command", "build_refs", "build_depth")),
        (_("Automatic deployment"), ("auto_deploy_environment", "auto_deploy_tag", "auto_deploy_refs")),
    )

    def __init__(self, *args: Any, may_build: bool = True, **more: Any) -> None:
        super().__init__(*args, **more)
        drop_if_none(self, "auto_deploy_environment")
        self.fields["build_orig"].help_text = _build_server_hint(more.get("caller"))
        hint = _("Controls what runs on build machines; requires the “build” scope.")
        for name in () if may_build else BUILD_FIELDS.intersection(self.fields):
            # A disabled field keeps its initial value whatever is posted.
            self.fields[name].disabled, self.fields[name].help_text = True, hint

    def clean_build_depth(self) -> int:
        """Return the depth; the saved one if the field is empty."""
        depth = self.cleaned_data["build_depth"]
        return self.initial.get("build_depth", 0) if depth is None else depth

    def groups(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """Return the headings with their fields, for the template."""
        return [(title, [self[name] for name in names if name in self.fields]) for title, names in self.GROUPS]


class VersionForm(Form):
    version = forms.CharField(
        label=_("Version"),
        max_length=128,
        help_text=_("Letters, digits and . _ + -, e.g. timestamp-branch-commit."),
        widget=forms.TextInput(
            {"autocomplete": "off", "spellcheck": "false", "pattern": r"[A-Za-z0-9][A-Za-z0-9._+\-]*"}
        ),
    )
    ref = forms.CharField(label=_("Branch"), max_length=250, initial="master")
    description = forms.CharField(label=_("Description"), max_length=256, required=False)


class NewVersionForm(VersionForm):
    """A version that is to be built, gets a package, or is an image."""

    image = forms.CharField(
        label=_("Image"),
        max_length=512,
        required=False,
        help_text=_(
            "One that a pipeline pushed to the registry, such as registry.example.com/shop:1.2: the version keeps its "
            "digest. Leave it empty to build the version or to upload a package."
        ),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )


class PackageForm(forms.Form):
    """The file of an upload. The page's script sends it to the API."""

    package = forms.FileField(
        label=_("Choose or drop a .tar.gz, .tar, .tar.bz2, .tar.xz or .zip with everything the service needs."),
        help_text=_(
            "At most 4 GiB. Your browser computes the hash during the upload and compares it with the server's."
        ),
        widget=forms.FileInput({"accept": ".gz,.tgz,.tar,.bz2,.tbz2,.xz,.txz,.zip"}),
    )


class TokenForm(Form):
    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("Who or what uses it."))
    scopes = forms.MultipleChoiceField(
        label=_("Rights"), choices=terms([(scope, scope) for scope in SCOPES]), widget=forms.CheckboxSelectMultiple
    )
    services = Choosers(
        "service",
        label=_("Services"),
        required=False,
        makes=False,
        placeholder=_("all that you may see"),
        help_text=_("The token works for these only."),
    )
    days = forms.IntegerField(
        label=_("Valid for (days)"),
        min_value=1,
        max_value=3650,
        required=False,
        help_text=_("Leave empty for the default."),
    )
    endless = forms.BooleanField(label=_("No expiry (administrators only)"), required=False)
