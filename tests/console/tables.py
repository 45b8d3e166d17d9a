"""The lists of the console: the page of each, and its table. A new list has a line here."""

from typing import NamedTuple

from console import tables
from console.csv_lists import Table


class List(NamedTuple):
    table: Table
    address: str  # its page; {callback}, {deployment}, {host}…: the id of the first one


OF_A_VERSION = "/services/shop/versions/{version}/"
LISTS = (
    List(tables.FLEET, "/"),
    List(tables.VERSIONS, "/services/shop/versions/"),
    List(tables.INSTANCES, "/services/shop/instances/"),
    List(tables.DEPLOYMENTS, "/deployments/"),
    List(tables.WAITING, "/waiting/"),
    List(tables.OPERATIONS, "/deployments/{deployment}/"),
    List(tables.TRAINS, "/trains/"),
    List(tables.BUILDS, "/builds/"),
    List(tables.HOSTS, "/hosts/"),
    List(tables.HOST_GROUPS, "/hosts/groups/"),
    List(tables.ENVIRONMENTS, "/environments/"),
    List(tables.FREEZES, "/freezes/"),
    List(tables.CALENDAR, "/calendar/"),
    List(tables.CREDENTIALS, "/credentials/"),
    List(tables.TOKENS, "/tokens/"),
    List(tables.PEOPLE, "/people/"),
    List(tables.TEAMS, "/teams/"),
    List(tables.CALLBACKS, "/callbacks/"),
    List(tables.BUILD_CALLBACKS, "/callbacks/"),
    List(tables.DELIVERIES, "/callbacks/{callback}/"),
    List(tables.WORKERS, "/workers/"),
    List(tables.TASKS, "/workers/"),
    List(tables.REVISIONS, "/settings/history/"),
    List(tables.HISTORY, "/history/"),
    List(tables.VERSION_CHANGES, "/history/moves/"),
    # Lists inside the page of something else.
    List(tables.INSTANCES, "/hosts/{host}/"),
    List(tables.INSTANCES, OF_A_VERSION),
    List(tables.BUILDS, OF_A_VERSION),
    List(tables.SECRETS, "/services/shop/settings/"),
    List(tables.HOSTS, "/credentials/{credential}/"),
    List(tables.SESSIONS, "/people/{person}/"),
    List(tables.SIGN_INS, "/people/{person}/"),
    List(tables.SESSIONS, "/account/"),
    List(tables.SIGN_INS, "/account/"),
    List(tables.SAVED_FILTERS, "/account/"),
    List(tables.MEMBERS, "/teams/{team}/"),
    List(tables.TEAM_SERVICES, "/teams/{team}/"),
)
