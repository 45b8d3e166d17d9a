"""The console's addresses."""

from django.urls import path
from django.views.i18n import set_language

from .language import script_words
from .views import (
    account,
    builds,
    callbacks,
    change,
    fleet,
    hosts,
    install,
    people,
    runs,
    services,
    settings,
    sign_in,
    teams,
)

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
    path("account/", account.account, name="account"),
    path("settings/", settings.settings, name="settings"),
    path("settings/history/", settings.settings_history, name="settings_history"),
    path("settings/history/<int:number>/restore/", settings.settings_restore, name="settings_restore"),
    path("callbacks/", callbacks.callbacks, name="callbacks"),
    path("callbacks/new/", callbacks.callback_new, name="callback_new"),
    path("callbacks/<int:number>/", callbacks.callback, name="callback"),
    path("callbacks/<int:number>/edit/", callbacks.callback_edit, name="callback_edit"),
    path("callbacks/<int:number>/test/", callbacks.callback_test, name="callback_test"),
    path("callbacks/<int:number>/delete/", callbacks.callback_delete, name="callback_delete"),
    path("callbacks/<int:number>/deliveries/<int:delivery>/", callbacks.redeliver, name="redeliver"),
    path("people/", people.people, name="people"),
    path("people/<int:number>/", people.person, name="person"),
    path("people/<int:number>/delete/", people.person_delete, name="person_delete"),
    path("teams/", teams.teams, name="teams"),
    path("teams/<int:number>/", teams.team, name="team"),
    path("teams/<int:number>/<str:what>/", teams.team_change, name="team_change"),
    path("history/", account.history, name="history"),
]
