"""The page of an operation: its steps, its output, what to do next."""

import pytest

from asset.models import Asset, Credential
from microservice.models import Operation, Step
from microservice.status import OperationStatus, StepStatus
from tests import factories

from ..markup import markup
from .failures import failed

pytestmark = pytest.mark.django_db


def test_operation_page(admin):
    deployment = failed(1)
    operation = deployment.operations.get()
    Step.objects.filter(operation=operation, name="check").update(
        status=StepStatus.FAILED, exit_status=7, detail="exit status 7", old_state="old one", new_state="new one"
    )
    page = markup(admin.get(f"/operations/{operation.pk}/"))
    for word in ("old one → new one", "exit status 7", "the check did not pass", "undone"):
        assert word in page
    assert admin.get("/operations/999999/").status_code == 404
    assert admin.get("/deployments/999999/").status_code == 404


def test_follows_output_by_offset(admin):
    deployment = factories.running(1, "shop")
    operation = deployment.operations.get()
    whole = b"".join(b"\x1b[32mline %d\x1b[0m <i>\n" % number for number in range(9000))
    factories.output(operation, *(whole[at : at + 50_000] for at in range(0, len(whole), 50_000)))
    offset, style, seen = "0", "", ""
    while True:
        answer = admin.get(f"/operations/{operation.pk}/output/", {"offset": offset, "style": style})
        seen += answer.content.decode()
        if answer["X-Next"] == offset:
            break
        offset, style = answer["X-Next"], answer["X-Style"]
    assert int(offset) == len(whole)
    assert "<i>" not in seen
    text = seen.replace('<span class="t-green">', "").replace("</span>", "").replace("&lt;i&gt;", "<i>")
    assert text == "".join(f"line {number} <i>\n" for number in range(9000))


@pytest.mark.parametrize(
    "query", ["offset=x", "offset=-1", "offset=99999999999999999999", "style=<script>", "style=t-x%00"]
)
def test_ignores_invalid_offset_and_style(admin, query):
    operation = factories.running(1, "shop").operations.get()
    factories.output(operation, b"hello\n")
    answer = admin.get(f"/operations/{operation.pk}/output/?{query}")
    assert answer.status_code == 200 and b"script" not in answer.content


def test_operation_page_gives_advice(admin, cost):
    deployment = failed(1)
    operation = deployment.operations.get()
    secret = Credential.objects.create(name="deploy key", secret="-----BEGIN KEY-----")
    Asset.objects.filter(pk=operation.host_id).update(credential=secret, port=2200, username="deploy")
    where = f"/operations/{operation.pk}/"
    page = markup(admin.get(where))
    assert "failed its health check" in page and "Retry failed operations" in page
    assert f"ssh -p 2200 -l deploy -- {operation.host.ip}" in page and "deploy key" in page and "BEGIN KEY" not in page
    assert "Attempts side by side" not in page
    again = Operation.objects.create(
        deployment=deployment,
        instance=operation.instance,
        instance_id_snapshot=operation.instance_id_snapshot,
        host=operation.host,
        action=operation.action,
        from_version=operation.from_version,
        dest_version=operation.dest_version,
        attempt=2,
        origin=operation,
        status=OperationStatus.SUCCEEDED,
    )
    Step.objects.create(operation=again, position=0, name="stop", status=StepStatus.DONE)
    for pk in (operation.pk, again.pk):
        page = markup(admin.get(f"/operations/{pk}/"))
        beside = page[page.index('aria-label="Attempts side by side"') :]
        assert "attempt 1" in beside and "attempt 2" in beside and "done" in beside and "undone" in beside
    assert cost(admin, where) <= 20
