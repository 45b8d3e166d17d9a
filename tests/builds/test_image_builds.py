"""Images from recipe to package, at a real engine and a real registry."""

import base64
import hashlib
import io
import json
import tarfile

import pytest
from django.contrib.auth import get_user_model

from builds import build_requests, execution
from builds.models import Build
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.microservice.catalog.test_recipes import HOSTILE

from .image_steps import WORD, built, run, service
from .steps import ANN, ask, pending, state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("store", "quick")]


def test_a_recipe_becomes_a_version(api, base, docker_engine, registry):
    shop = service(
        {
            "base": base,
            "env": {f"V{number}": text for number, text in enumerate(HOSTILE) if text.isprintable()},
            "files": [{"path": "/etc/shop.conf", "text": "$HOME\n<<EOF\n", "mode": "0640"}],
            "run": ["echo building >&2 &&\ncat /etc/shop.conf > /copy", 'printf %s "<<EOF \\" $0" > /odd'],
            "user": "65534",
            "workdir": "/srv/app",
            "cmd": ["sh", "-c", 'printf %s "$V1"'],
        }
    )
    version = pending(shop, "1.0+a")
    answer = ask(api(), version)
    assert answer.status_code == 202, answer.content
    execution.work()
    row = Build.objects.get()
    assert state(version) == BuildStatus.SUCCESS, (row.detail, row.log)
    repository, digest = f"{registry.host}/team/shop", version.image.partition("@")[2]
    assert version.image == row.image == f"{repository}@{digest}"
    assert version.image_tag.startswith(f"{repository}:1.0_a-")
    assert version.recipe == shop.recipe
    assert row.base.startswith(f"{base.removesuffix(':1')}@sha256:") and f"FROM {row.base}\n" in row.dockerfile
    said = row.log
    assert "==> The base" in said and "Step 1/" in said and "building\n" in said and f"Pushing {repository}" in said
    assert WORD not in json.dumps([said, row.detail, row.dockerfile])
    # It is in the registry, and what was typed is data in it.
    docker_engine.command_line("rmi", "-f", version.image_tag)
    docker_engine.command_line("login", "-u", "robot$ci", "-p", WORD, registry.host)
    assert run(docker_engine, version.image).rstrip("\n") == HOSTILE[1]
    got = run(docker_engine, version.image, "sh", "-c", "cat /copy /odd; pwd; id -u; stat -c %a /etc/shop.conf; env")
    lines = got.splitlines()
    assert lines[:5] == ["$HOME", "<<EOF", '<<EOF " /bin/sh/srv/app', "65534", "640"]
    for number, text in enumerate(HOSTILE):
        if text.isprintable():
            assert f"V{number}={text}" in lines


def test_the_same_is_built_once_and_a_new_base_again(base, docker_engine, registry):
    service({"base": base, "run": ["true"]})
    first, _ = built("1.0")
    second, row = built("2.0")
    assert (first.status, second.status) == (BuildStatus.SUCCESS, BuildStatus.DUPLICATE)
    assert "same recipe" in row.detail
    registry.push("base", "1", {"bin/sh": b"no program"})  # another image under the tag: its shell does not run
    third, row = built("3.0")
    assert third.status == BuildStatus.FAILED and row.base != Build.objects.get(version=first).base


def test_a_step_that_fails_is_named_and_built_again_under_the_same_name(base, docker_engine):
    shop = service({"base": base, "run": ["echo all is well", "echo no compiler here; exit 7"]})
    version, row = built()
    assert version.status == BuildStatus.FAILED
    assert "no compiler here" in row.detail and "Step " in row.detail and "7" in row.detail
    assert docker_engine.containers() == []
    shop.recipe = {"base": base, "run": ["echo all is well"]}
    shop.save()
    build_requests.start(ANN, version, again=True)
    execution.work()
    assert state(version) == BuildStatus.SUCCESS
    assert [one.status for one in build_requests.attempts(version)] == [BuildStatus.SUCCESS, BuildStatus.FAILED]
    assert version.recipe == shop.recipe


def test_a_base_alone_is_the_version_without_a_build(base, docker_engine, configure):
    configure(url="tcp://127.0.0.1:9")  # no engine is asked
    service({"base": base})
    version, row = built()
    assert version.status == BuildStatus.SUCCESS, row.detail
    assert (version.image, version.image_tag) == (row.base, base) and "@sha256:" in version.image
    assert built("2.0")[0].status == BuildStatus.DUPLICATE


def test_the_form_is_filled_from_the_base(client, base, docker_engine):
    user = get_user_model().objects.create_user("ada", is_staff=True, is_superuser=True)
    client.force_login(user)
    service({"base": base, "run": ["true"]})
    page = client.post("/services/shop/recipe/", {"base": base, "cmd": "mine", "do": "look"})
    assert page.status_code == 200 and page.context["look"].reference.digest
    assert page.context["form"]["cmd"].value() == "mine" and "Nothing is saved" in page.content.decode()
    assert factories.MicroService.objects.get().recipe == {"base": base, "run": ["true"]}
    page = client.post("/services/shop/recipe/", {"base": f"{base}.2", "do": "look"})
    assert page.status_code == 422 and "base" in page.context["form"].errors


def test_the_repository_is_the_context(base, docker_engine, repository, registry):
    folder = repository.folder / "src"
    folder.mkdir()
    repository.commit({"src/main": "main\n", ".dockerignore": "*\n", "Dockerfile": "FROM nothing\n"})
    (repository.folder / ".deployer-image").mkdir()
    repository.commit({".deployer-image/Dockerfile": "FROM nothing\n"})
    service(
        {"base": base, "files": [{"path": "/app/", "from": "src"}, {"path": "/all/", "from": "."}]},
        build_url=repository.url,
    )
    version, row = built()
    assert version.status == BuildStatus.SUCCESS, (row.detail, row.log)
    assert len(row.commit) == 40
    docker_engine.command_line("login", "-u", "robot$ci", "-p", WORD, registry.host)
    found = run(docker_engine, version.image, "find", "/app", "/all", "-type", "f").split()
    assert {"/app/main", "/all/src/main", "/all/Dockerfile"} <= set(found)
    assert not [path for path in found if "/.git/" in path]


def test_secrets_serve_every_step_and_stay_nowhere(api, docker_engine, base):
    """In the environment of each step; neither in the image, nor in the log, the Dockerfile or the row."""
    value = 'tok$en "of" the index'
    # The steps know the value by its hash: a recipe that holds it would keep it.
    known = hashlib.sha256(value.encode()).hexdigest()
    check = f'test "$(printf %s "$TOKEN" | sha256sum | cut -c 1-64)" = {known}'
    service({"base": base, "run": [check, 'echo "it is $TOKEN"; touch /built', check]})
    assert api().patch("/services/shop", {"build_secrets": {"TOKEN": value}}).status_code == 200
    version, build = built()
    assert version.status == BuildStatus.SUCCESS, (build.detail, build.log)
    assert "it is ****" in build.log and "Step 4/" in build.log
    status, exported = docker_engine.ask("GET", f"/images/{version.image_tag}/get")
    assert status == 200
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        kept = b"".join(file.read() for member in archive if (file := archive.extractfile(member)))
    history = docker_engine.ask("GET", f"/images/{version.image_tag}/history")[1]
    rows = json.dumps([*Build.objects.values(), *MicroServiceVersion.objects.values()], default=str).encode()
    assert known.encode() in kept and known.encode() in history and known.encode() in rows
    for place in (kept, history, rows):
        for form in (value.encode(), json.dumps(value)[1:-1].encode(), base64.b64encode(value.encode())[:-4]):
            assert form not in place


def test_the_page_shows_what_was_built(client, base):
    user = get_user_model().objects.create_user("ada", is_staff=True, is_superuser=True)
    client.force_login(user)
    service({"base": base, "env": {"MODE": "<b>"}})
    version, row = built()
    page = client.get(f"/services/shop/versions/{version.pk}/").content.decode()
    for shown in (row.base, row.image, "FROM ", "ENV MODE=&quot;&lt;b&gt;&quot;", "==&gt; Pushing"):
        assert shown in page
    other = client.get(f"/services/shop/versions/{pending(version.microservice, '2.0').pk}/").content.decode()
    assert "/services/shop/recipe/" in other and "Build" in other
