"""Hosts from a file: checked by line, imported as a whole, and the same file again changes nothing."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from access.callers import Caller
from access.problems import Problem
from asset import imports
from asset.models import Asset, Credential
from tests.console.markup import markup

pytestmark = [pytest.mark.django_db, pytest.mark.found("removal")]
WHO = Caller(name="ann", scopes=frozenset({"admin"}))
FILE = """hostname,ip,credential,jump_host,labels,sudo,description
web1,10.0.0.1,fleet,jump1,zone=eu;rack=7,yes,"two
lines"
web2,10.0.0.2,,,,no,
"""


@pytest.fixture(autouse=True)
def there():
    Credential.objects.create(name="fleet", kind="password", secret="pw")
    Asset.objects.create(hostname="jump1", ip="10.0.0.9")


def refused(text: str) -> Problem:
    before = Asset.objects.count()
    with pytest.raises(Problem) as caught:
        imports.import_many(WHO, imports.from_csv(text))
    assert caught.value.status == 422 and Asset.objects.count() == before
    return caught.value


def test_resolves_names_of_credentials_and_jump_hosts(there):
    made = imports.import_many(WHO, imports.from_csv(FILE.replace('"two\nlines"', "one")))
    first = Asset.objects.get(hostname="web1")
    assert len(made) == 2 and (first.credential.name, first.jump_host.hostname) == ("fleet", "jump1")
    assert first.labels == {"zone": "eu", "rack": "7"} and first.sudo


def test_names_the_line_of_each_error():
    problem = refused(FILE + "web3,10.0.0.!,nobody,,,maybe,\n")
    lines = {(error["line"], error["pointer"]) for error in problem.errors}
    assert lines == {(2, "/0/description"), (5, "/2/ip"), (5, "/2/credential"), (5, "/2/sudo")}
    assert problem.detail.startswith("Line 2, description: ")


def test_importing_again_adds_only_new_hosts():
    text = FILE.replace('"two\nlines"', "one")
    assert len(imports.import_many(WHO, imports.from_csv(text))) == 2
    checked = imports.check_many(imports.from_csv(text))
    assert (checked.new, checked.unchanged) == ([], ["web1", "web2"])
    assert imports.import_many(WHO, imports.from_csv(text)) == []
    longer = imports.import_many(WHO, imports.from_csv(text + "web3,10.0.0.3,,,,,\n"))
    assert [row.hostname for row in longer] == ["web3"]


def test_refuses_a_host_that_differs():
    imports.import_many(WHO, imports.from_csv("hostname,ip\nweb1,10.0.0.1\n"))
    problem = refused("hostname,ip,port\nweb1,10.0.0.2,2222\n")
    assert "a host of this name already exists, with a different IP address, port" in problem.errors[0]["reason"]


def test_the_number_of_queries_does_not_grow(django_assert_max_num_queries):
    rows = [
        {"hostname": f"h{number}", "ip": "10.1.0.1", "credential": "fleet", "jump_host": "jump1"}
        for number in range(60)
    ]
    with django_assert_max_num_queries(20):
        imports.import_many(WHO, rows)
    with django_assert_max_num_queries(12):
        assert imports.import_many(WHO, rows) == []


def test_page_checks_a_file_and_imports_it(admin_client):
    path = "/hosts/import/"
    assert path in admin_client.get("/hosts/").content.decode()
    assert admin_client.get(path).status_code == 200
    wrong = SimpleUploadedFile("hosts.csv", b"hostname,ip\nweb1,10.0.0.1\nweb2,no-where!\n")
    answer = admin_client.post(path, {"file": wrong, "text": "", "then": "import"})
    page = markup(answer)
    assert answer.status_code == 422 and 'data-name="Line">3</td>' in page and 'data-name="Field">ip</td>' in page
    assert "web2,no-where!" in page, "it can be mended right here"
    good = SimpleUploadedFile("hosts.csv", "\ufeffhostname,ip\r\nweb1,10.0.0.1\r\njump1,10.0.0.9\r\n".encode())
    page = admin_client.post(path, {"file": good, "text": "", "then": "check"}).content.decode()
    assert "1 host would be added." in page and "1 host already exists." in page
    assert not Asset.objects.filter(hostname="web1").exists()
    text = "hostname,ip\r\nweb1,10.0.0.1\r\njump1,10.0.0.9\r\n"
    said = admin_client.post(path, {"text": text, "then": "import"}, follow=True).content.decode()
    assert "1 host was added" in said
    said = admin_client.post(path, {"text": '[{"hostname": "j", "ip": "10.0.0.8"}]', "then": "import"}, follow=True)
    assert "1 host was added" in said.content.decode()
    for bad in ("", "[", "hostname,hostname\n"):
        assert admin_client.post(path, {"text": bad, "then": "import"}).status_code == 422
    assert admin_client.post(path, {"file": SimpleUploadedFile("x.csv", b"\xff\xfe")}).status_code == 422


def test_only_administrators_import(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("olga"))
    assert client.get("/hosts/import/").status_code == 403
    assert client.post("/hosts/import/", {"text": "hostname,ip\na,10.0.0.1\n", "then": "import"}).status_code == 403
    assert Asset.objects.count() == 1


@pytest.mark.parametrize("cell", ["zone", "zone=eu;rack", "zone=eu;zone=us"])
def test_reads_labels_as_the_form_does(cell):
    problem = refused(f"hostname,ip,labels\nweb1,10.0.0.1,{cell}\n")
    assert problem.errors[0]["pointer"] == "/0/labels"


def test_checks_jump_hosts_in_one_query_a_level(django_assert_max_num_queries):
    jumps = [Asset.objects.create(hostname=f"j{number}", ip="10.0.1.1") for number in range(30)]
    rows = [{"hostname": f"b{one.pk}", "ip": "10.0.2.1", "jump_host_id": one.pk} for one in jumps]
    with django_assert_max_num_queries(22):
        assert len(imports.create(WHO, imports.check_many(rows))) == 30
    far = jumps[0]
    for number in range(3):
        far = Asset.objects.create(hostname=f"far{number}", ip="10.0.3.1", jump_host=far)
    assert (
        "jump hosts before this host"
        in refused_rows([{"hostname": "x", "ip": "10.0.4.1", "jump_host_id": far.pk}]).detail
    )


def refused_rows(rows: list) -> Problem:
    with pytest.raises(Problem) as caught:
        imports.check_many(rows)
    return caught.value
