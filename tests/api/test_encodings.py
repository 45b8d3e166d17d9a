"""Output in another encoding is readable on pages, in searches, in errors and by API; its bytes are kept."""

import re

import pytest

from access.callers import SYSTEM
from asset.models import Asset
from console.queries import operations
from microservice.deployments import failures
from microservice.models import MicroService, Operation, Output, Step
from microservice.output import logs
from microservice.status import OperationStatus
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.found("output")]

SAID = "启动失败：端口已被占用\n请检查配置文件 Server.conf\n"
RUSSIAN = "Ошибка: порт занят\n"


@pytest.fixture
def operation():
    found = factories.running(1, "shop").operations.get()
    Operation.objects.update(status=OperationStatus.UNDONE, error="start failed: x", error_step="start")
    return found


def get(client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def admin(django_user_model, client):
    client.force_login(django_user_model.objects.create_superuser("ada", password="ada-password-1"))
    return client


def places(operation) -> list[str]:
    return [
        f"/operations/{operation.pk}/log/",
        f"/operations/{operation.pk}/",
        f"/deployments/{operation.deployment_id}/",
        f"/operations/{operation.pk}/output/?offset=0",
    ]


@pytest.mark.parametrize("encoding", ["gb18030", ""], ids=["said", "recognised"])
def test_reads_gbk_output_everywhere(admin, api, operation, encoding):
    Asset.objects.update(encoding=encoding)
    whole = factories.output(operation, "ok\nprêt\n".encode() + SAID.encode("gbk"))
    for page in places(operation):
        html = get(admin, page)
        assert "请检查配置文件 Server.conf" in html and "\ufffd" not in html, page
    hits = get(admin, f"/operations/{operation.pk}/log/search/?q=端口")
    assert "1 hit" in hits and 'data-hits="3"' in hits and "启动失败：端口已被占用" in hits
    assert "1 hit" in get(admin, f"/operations/{operation.pk}/log/search/?q=prêt"), "UTF-8 beside it is found too"
    assert "1 hit" in get(admin, f"/operations/{operation.pk}/log/search/?q=server")
    answer = api().get(f"/operations/{operation.pk}/log")
    held = b"".join(answer.streaming_content)
    assert held == whole == b"".join(logs.read(operation.pk, 0, len(whole))), "the bytes stay as they are"
    assert answer["Content-Type"] == "text/plain; charset=gb18030"
    found = api().get(f"/operations/{operation.pk}/log?search=端口")
    assert found["X-Hits"] == "1" and "端口已被占用" in found.content.decode("gb18030")


def test_service_encoding_overrides_the_host(admin, operation):
    Asset.objects.update(encoding="gb18030")
    MicroService.objects.update(encoding="koi8-r")
    factories.output(operation, RUSSIAN.encode("koi8-r"))
    for page in places(operation):
        assert "порт занят" in get(admin, page)
    assert "1 hit" in get(admin, f"/operations/{operation.pk}/log/search/?q=ПОРТ"), "whatever its case"


def test_marks_guessed_encodings(admin, operation):
    factories.output(operation, RUSSIAN.encode("cp1251"))
    assert "\ufffd" in get(admin, f"/operations/{operation.pk}/log/")
    Asset.objects.update(encoding="cp1251")
    assert "порт занят" in get(admin, f"/operations/{operation.pk}/log/"), "also what was printed before"


def test_searches_whole_characters(admin, operation):
    Asset.objects.update(encoding="gb18030")
    character = next(chr(code) for code in range(0x4E00, 0x9FFF) if chr(code).encode("gb18030")[1:] == b"a")
    factories.output(operation, f"{character}b\n{character}ab\n".encode("gb18030"))
    found = get(admin, f"/operations/{operation.pk}/log/search/?q=ab")
    assert "1 hit" in found and 'data-hits="2"' in found


def test_deployment_summary_is_readable(operation):
    Asset.objects.update(encoding="gb18030")
    factories.output(operation, SAID.encode("gbk"))
    Step.objects.create(operation=operation, position=0, name="start", output_start=0)
    cause = failures.failures_of(SYSTEM, operation.deployment).shown[0]
    assert operations.error_lines(cause.first)[1].split("\n") == SAID.split("\n")[:2]


def test_accepts_every_name_of_an_encoding(api):
    made = api().post("/hosts/", {"hostname": "h1", "ip": "10.0.0.1", "encoding": "GBK"})
    assert (made.status_code, made.json()["encoding"]) == (201, "gb18030")
    refused = api().patch(f"/hosts/{made.json()['id']}", {"encoding": "utf-16"})
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/encoding"
    assert api().patch(f"/hosts/{made.json()['id']}", {"encoding": ""}).json()["encoding"] == ""
    service = api().post("/services/", {"name": "shop", "encoding": "Shift_JIS"})
    assert (service.status_code, service.json()["encoding"]) == (201, "cp932")
    assert api().patch("/services/shop", {"encoding": "rot13"}).status_code == 422
    lines = "hostname,ip,encoding\nh2,10.0.0.2,latin-1\nh3,10.0.0.3,\n"
    answer = api().post("/hosts/import", lines.encode(), content_type="text/csv")
    assert answer.status_code == 201, answer.content
    assert [row["encoding"] for row in answer.json()["data"]] == ["cp1252", ""]


def test_both_forms_offer_encodings(admin, operation):
    host = operation.host
    page = get(admin, f"/hosts/{host.pk}/edit/")
    assert re.search(r'<select name="encoding".*<option value="gb18030">', page, re.S)
    page = get(admin, "/services/shop/settings/")
    assert re.search(r'<select name="encoding".*<option value="koi8-r">', page, re.S)


def test_keeps_output_bytes(operation):
    Asset.objects.update(encoding="gb18030")
    factories.output(operation, bytes(range(256)))
    assert bytes(Output.objects.get().data) == bytes(range(256))
