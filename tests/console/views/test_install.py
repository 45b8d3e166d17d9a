"""The dialog that installs a version on hosts."""

import re

import pytest

from asset.models import Asset
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import InstanceStatus
from tests import factories

from ..markup import markup
from .dialogs import hidden


def test_installs_on_selected_hosts(admin, versions):
    free = factories.hosts(2)
    where = f"/services/shop/versions/{versions.newer.pk}/install/"
    page = markup(admin.get(where))
    assert page.count("already has shop") == 4 and "Select hosts to see the plan" in page and 'id="confirm"' not in page
    plan = markup(admin.get(f"{where}?host={free[0].pk}&host={free[1].pk}&canary=1"))
    plan = plan[plan.index('id="plan"') :]
    assert (
        "2 hosts in 2 batches (1, 1)" in plan
        and "on 2 hosts" in plan
        and free[1].hostname in plan
        and ">upload<" in plan
    )
    form = hidden(markup(admin.get(f"{where}?host={free[1].pk}&port=8080&weight=50")))
    answer = admin.post(where, form)
    assert answer.status_code == 302, markup(answer)
    made = MicroServiceInstance.objects.get(host=free[1])
    assert (made.port, made.weight, made.status) == (8080, 50, InstanceStatus.INSTALLING)
    assert admin.post(where, form)["Location"] == answer["Location"]


def test_rejects_changed_install_plan(admin, versions):
    free = factories.hosts(2)
    where = f"/services/shop/versions/{versions.newer.pk}/install/"
    shown = hidden(markup(admin.get(f"{where}?host={free[0].pk}&host={free[1].pk}")))
    Asset.objects.filter(pk=free[1].pk).update(base_path="/elsewhere")
    page = admin.post(where, shown)
    assert page.status_code == 409 and f"{free[1].hostname}:{free[1].ip} was changed" in markup(page)
    shown = hidden(markup(page))  # the new plan is there to be confirmed at once
    factories.instances(versions.running, [free[0]])
    page = admin.post(where, shown)
    assert page.status_code == 409 and f"{free[0].hostname}:{free[0].ip} already has shop" in markup(page)
    assert admin.post(where, shown | {"plan_token": "", "key": "0" * 36}).status_code in (409, 422)
    assert not Deployment.objects.exists()


@pytest.mark.parametrize(
    ("field", "typed", "reason"),
    [
        ("port", "x", "whole number"),
        ("port", "99999", "65535"),
        ("weight", "", "whole number"),
        ("tag", "t" * 65, "at most 64"),
        ("canary", "-1", "whole number"),
        ("batch_size", "many", "must be"),
        ("max_failures", "1.5", "whole number"),
    ],
)
def test_invalid_install_keeps_input(admin, versions, field, typed, reason):
    free = factories.hosts(1)
    where = f"/services/shop/versions/{versions.newer.pk}/install/"
    form = {"host": str(free[0].pk), "port": "80", "weight": "1", "tag": "blue", field: typed}
    for page in (admin.get(where, form), admin.post(where, {**form, "key": "0" * 36})):
        text = markup(page)
        value = f' value="{typed}"' if typed else ""  # Django leaves the attribute out
        error = re.search(rf'name="{field}"{value}[^>]*id="{field}".*?id="{field}-wrong">([^<]*)<', text, re.DOTALL)
        assert error and reason in error[1] and 'id="confirm"' not in text
        assert field == "tag" or 'value="blue"' in text
    assert page.status_code == 422 and not Deployment.objects.exists()


def test_searches_install_hosts(admin, versions, cost):
    free = factories.hosts(120, prefix="many")
    where = f"/services/shop/versions/{versions.newer.pk}/install/"
    page = markup(admin.get(f"{where}?host={free[119].pk}"))
    boxes = re.findall(r'name="host" id="host-(\d+)" value="\d+"( checked)?', page)
    assert boxes[0] == (str(free[119].pk), " checked") and len(boxes) == 101 and "More hosts exist" in page
    found = markup(admin.get(f"{where}?part=hosts&find_host={free[110].hostname}&host={free[119].pk}"))
    assert free[110].hostname in found and free[119].hostname in found and free[0].hostname not in found
    small = cost(admin, where)
    factories.hosts(50, prefix="more")
    assert cost(admin, where) == small
