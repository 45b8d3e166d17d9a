"""The console's addresses."""

from django.urls import path
from django.views.i18n import set_language

from .language import script_words
from .views import account, builds, change, fleet, hosts, install, runs, services, sign_in

app_name = "console"
_service = "services/<str:name>/"
_version = f"{_service}versions/<int:number>/"

urlpatterns = [
    path("", fleet.home, name="fleet"),
    path("login/", sign_in.SignIn.as_view(), name="sign_in"),
    path("logout/", sign_in.SignOut.as_view(), name="sign_out"),
    path("language/", set_language, name="language"),
    path("words/<str:language>/<str:version>.js", script_words, name="script_words"),
    path("new-service/", services.new, name="service_new"),
    path(_service, services.versions, name="service"),
    path(f"{_service}instances/", services.instances, name="instances"),
    path(f"{_service}instances/change/", services.change_instances, name="change_instances"),
    path(f"{_service}instances/<int:number>/unlock/", services.unlock, name="unlock"),
    path(f"{_service}settings/", services.settings, name="service_settings"),
    path(f"{_service}versions/new/", services.new_version, name="new_version"),
    path(_version, services.version, name="version"),
    path(f"{_version}build/", builds.build, name="build"),
    path(f"{_version}install/", install.install, name="install"),
    path(f"{_version}<str:action>/", change.change, name="change"),
    path("deployments/", runs.deployments, name="deployments"),
    path("deployments/<int:number>/", runs.deployment, name="deployment"),
    path("deployments/<int:number>/<str:what>/", runs.act, name="act"),
    path("operations/<int:number>/", runs.operation, name="operation"),
    path("operations/<int:number>/output/", runs.output, name="output"),
    path("hosts/", hosts.hosts, name="hosts"),
    path("hosts/new/", hosts.new, name="host_new"),
    path("hosts/<int:number>/", hosts.host, name="host"),
    path("hosts/<int:number>/edit/", hosts.edit, name="host_edit"),
    path("hosts/<int:number>/check/", hosts.check, name="host_check"),
    path("hosts/<int:number>/trust/", hosts.trust, name="host_trust"),
    path("hosts/<int:number>/delete/", hosts.delete, name="host_delete"),
    path("credentials/", hosts.credential_list, name="credentials"),
    path("credentials/<int:number>/delete/", hosts.credential_delete, name="credential_delete"),
    path("tokens/", account.tokens, name="tokens"),
    path("tokens/<int:number>/revoke/", account.revoke, name="token_revoke"),
    path("history/", account.history, name="history"),
]
