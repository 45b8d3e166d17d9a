"""Which project of a build server a service may build: a pure decision, and where it is asked."""

import json

import pytest

from access.models import Team
from access.secrets import Secret
from integrations import projects
from integrations.models import Setting
from microservice.models import MicroService

LAB, CI = "https://gitlab.example", "https://ci.example/jenkins"
BOUND = [{"project": "red-team/*", "team": "red"}, {"project": "shared/tools", "team": "*"}]


@pytest.mark.parametrize(
    "url",
    [
        "https://whatever.example/red-team/payroll",
        "http://gitlab.example/red-team/payroll",
        "//evil.example/red-team/x",
        "https://gitlab.example:8443/red-team/x",
        "https://u:p@gitlab.example/red-team/x",
        "ssh://gitlab.example/red-team/x",
        "https://gitlab.example:x/y",
    ],
)
def test_refuses_other_servers(url):
    assert projects.refusal("gitlab", LAB, [], url, "red")
    assert projects.refusal("gitlab", LAB, BOUND, url, "red")


@pytest.mark.parametrize(
    ("url", "team", "may"),
    [
        ("https://gitlab.example/red-team/payroll.git", "red", True),
        ("https://GITLAB.example:443/red-team/a/b", "red", True),
        ("https://gitlab.example/red-team/payroll", "blue", False),
        ("https://gitlab.example/red-team/payroll", "", False),
        ("https://gitlab.example/shared/tools", "blue", True),
        ("https://gitlab.example/shared/tools2", "blue", False),
        ("https://gitlab.example/shared/tools/../../red-team/payroll", "blue", False),
        ("https://gitlab.example/shared/tools%2F..%2F..%2Fred-team%2Fpayroll", "blue", False),
        ("https://gitlab.example/red-teams/payroll", "red", False),
        ("https://gitlab.example/", "red", False),
    ],
)
def test_builds_projects_bound_to_the_team(url, team, may):
    assert (projects.refusal("gitlab", LAB, BOUND, url, team) is None) is may


@pytest.mark.parametrize(
    ("url", "team", "may"),
    [
        ("https://ci.example/jenkins/job/red-team/job/app/", "red", True),
        ("/job/red-team/job/app", "red", True),
        ("https://ci.example/jenkins/view/all/job/red-team/job/app", "red", True),
        ("https://ci.example/jenkins/job/red-team/job/app", "blue", False),
        ("https://ci.example/jenkins/job/shared/job/tools/job/x", "blue", False),
        ("https://ci.example/jenkins/job/shared/job/tools/../../../job/red-team/job/app", "blue", False),
        ("https://ci.example/jenkins/user/bob/job/red-team", "red", False),
    ],
)
def test_names_jenkins_jobs_by_their_folders(url, team, may):
    assert (projects.refusal("jenkins", CI, BOUND, url, team) is None) is may


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        [1],
        [{"project": "a"}],
        [{"project": "a*b", "team": "x"}],
        [{"project": "", "team": "x"}],
        [{"project": "a", "team": 5}],
    ],
)
def test_rejects_invalid_bindings(wrong):
    assert projects.binding_error(wrong)
    assert not projects.binding_error(BOUND)


@pytest.mark.django_db
def test_rejects_unbound_projects_on_save(api):
    Setting.objects.create(document=Secret(json.dumps({"gitlab": {"url": LAB, "token": "t", "projects": BOUND}})))
    blue = Team.objects.create(name="blue")
    caller = api()
    for url, status in ((f"{LAB}/shared/tools", 201), (f"{LAB}/red-team/payroll", 422), ("https://x.example/y", 422)):
        answer = caller.post(
            "/services/", {"name": f"s{status}", "team": blue.pk, "build_orig": "gitlab", "build_url": url}
        )
        assert answer.status_code == status, answer.content
        if status == 422:
            assert answer.json()["errors"][0]["pointer"] == "/build_url"
    made = MicroService.objects.get(name="s201")
    assert caller.patch(f"/services/{made.pk}", {"build_url": f"{LAB}/red-team/payroll"}).status_code == 422
    assert caller.patch(f"/services/{made.pk}", {"build_refs": ["main", "release/*"]}).status_code == 200
    assert caller.get(f"/services/{made.pk}").json()["build_refs"] == ["main", "release/*"]
    for wrong in (["--x"], ["a b"], ["x"] * 51):
        refused = caller.patch(f"/services/{made.pk}", {"build_refs": wrong})
        assert refused.json()["errors"][0]["pointer"] == "/build_refs"
