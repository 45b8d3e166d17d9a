"""Every word of the console in Simplified Chinese: nothing is missing, and the API goes on speaking English."""

import re

import pytest
from django.template import Context, Template
from django.test import Client
from django.utils import translation

from console.language import told
from microservice.models import Deployment, MicroService
from scripts.messages import catalogue, templates
from scripts.messages.found import ROOT

DOMAINS = ("django", "djangojs")
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}
# What a translation keeps of its text: names of values, numbered places, tags.
KEPT = re.compile(r"%\(\w+\)s|\{\w+\}|</?\w+")


@pytest.mark.parametrize("domain", DOMAINS)
def test_everything_that_is_said_is_translated(domain):
    there = catalogue.read("zh_Hans", domain)
    lacking = []
    for wanted in catalogue.wanted(domain):
        if not wanted.id:
            continue
        found = there.get(wanted.id, wanted.context)
        said = found.string if found and isinstance(found.string, tuple) else (found.string if found else "",)
        if found is None or found.fuzzy or not all(said):
            lacking.append((wanted.locations[0][0], wanted.id))
    assert not lacking, "run `make messages`, and translate what it names"


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_translation_keeps_the_values_of_its_text(domain):
    for message in catalogue.read("zh_Hans", domain):
        if not message.id:
            continue
        text = message.id if isinstance(message.id, str) else message.id[-1]
        said = message.string if isinstance(message.string, str) else message.string[0]
        assert sorted(KEPT.findall(text)) == sorted(KEPT.findall(said)), text


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_compiled_catalogue_is_what_its_text_says(domain):
    source = catalogue.path("zh_Hans", domain)
    assert source.with_suffix(".mo").read_bytes() == catalogue.compiled(source), "run `make messages`"
    assert source.read_text() == catalogue.text(catalogue.updated("zh_Hans", domain)), "run `make messages`"


def test_no_text_of_a_template_stands_outside_of_a_translation(tmp_path):
    bare = {str(path.relative_to(ROOT)): found for path in templates.paths() if (found := list(templates.bare(path)))}
    assert not bare
    page = tmp_path / "page.html"
    page.write_text('{% if x %}<p title="Seen">{{ y }} hosts</p>{% endif %}<code>make it</code>{% translate "fine" %}')
    assert sorted(templates.bare(page)) == ["Seen", "hosts"]


@pytest.mark.django_db
def test_pages_and_refusals_are_in_the_language_that_the_browser_asks_for(admin, operator):
    page = admin.get("/", headers=CHINESE).content.decode()
    assert '<html lang="zh-hans"' in page and "还没有服务" in page and "No services" not in page
    refused = operator.get("/hosts/new/", headers=CHINESE)
    assert refused.status_code in (200, 403)
    assert "没有这个服务，或者您无权查看。" in admin.get("/services/nothing/", headers=CHINESE).content.decode()
    form = admin.post("/new-service/", {"name": "7"}, headers=CHINESE).content.decode()
    assert "不能全是数字" in form
    assert '<html lang="en"' in admin.get("/", headers={"Accept-Language": "fr"}).content.decode()


@pytest.mark.django_db
def test_a_chosen_language_is_kept_by_the_browser_and_wins_over_what_it_asks_for(admin):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/language/", {"language": "zh-hans"}).status_code == 403
    answer = admin.post("/language/", {"language": "zh-hans", "next": "/hosts/?q=a"})
    assert (answer.status_code, answer["Location"]) == (302, "/hosts/?q=a")
    assert admin.post("/language/", {"language": "en", "next": "https://elsewhere.example/"})["Location"] == "/"
    admin.post("/language/", {"language": "zh-hans"})
    assert "还没有主机" in admin.get("/hosts/", headers={"Accept-Language": "en"}).content.decode()


@pytest.mark.django_db
def test_the_api_and_what_is_kept_speak_english_to_everybody(admin):
    admin.cookies["django_language"] = "zh-hans"
    answer = admin.get("/api/v1/services/nothing", headers=CHINESE)
    assert answer.json()["detail"] == "There is no such service, or you may not see it."
    assert "Accept-Language" not in answer.get("Vary", "")
    made = admin.post("/api/v1/services/", {"name": "7"}, "application/json", headers=CHINESE)
    assert made.json()["errors"][0]["reason"].isascii()
    assert not MicroService.objects.exists() and not Deployment.objects.exists()


@pytest.mark.django_db
def test_the_scripts_words_come_by_an_address_that_changes_with_them(admin):
    page = admin.get("/", headers=CHINESE).content.decode()
    address = re.search(r'src="(/words/zh-hans/\w+\.js)"', page)[1]
    answer = admin.get(address)
    assert r"\u521a\u521a" in answer.content.decode()  # 刚刚, as JSON has it
    assert "max-age=31536000" in answer["Cache-Control"]
    assert "max-age=0" in admin.get("/words/zh-hans/old.js")["Cache-Control"]
    assert admin.get("/words/xx/old.js").status_code == 404


@pytest.mark.parametrize(
    ("said", "chinese"),
    [
        ("dest_version: cannot be 1.2: its build is failed", "dest_version：不能是 1.2：其构建状态为“失败”"),
        ("web1:10.0.0.1 is in maintenance (and 3 more).", "web1:10.0.0.1 正在维护（另有 3 处）。"),
        ("Instance 5 does not run 1.2.", "实例 5 没有运行 1.2。"),
        ("web1 is locked by ada, deployment 5, since noon.", "web1 已被锁定：ada，部署 5，自 noon 起。"),
        ("check failed with exit status 3.", "check 失败，退出状态 3。"),
        ("a:22 cannot be reached: it did not answer in time.", "无法连接 a:22：它没有及时应答。"),
        (
            "check failed with exit status 7: not passed within 20 s; exit status 7: boom",
            "check 失败，退出状态 7：20 秒内没有通过；退出状态 7：boom",
        ),
        ("<b>{0}</b> %s {nobody}", "<b>{0}</b> %s {nobody}"),
    ],
)
def test_a_sentence_of_the_rules_is_found_again_with_its_names(said, chinese):
    assert told(said) == said
    with translation.override("zh-hans"):
        assert told(said) == chinese


def test_a_per_cent_sign_in_a_template_is_no_trap():
    with translation.override("zh-hans"):
        said = Template('{% translate "A number, or a share such as 20%." %}').render(Context())
    assert said == "一个数字，或 20% 这样的比例。"


@pytest.mark.parametrize(
    "piece", ["A. ", ".", "a: ", "is failed ", ", deployment , since ", "{0} ", "\0", " (and 1 more)"]
)
def test_no_text_of_a_host_is_too_much_for_it(piece):
    with translation.override("zh-hans"):
        told(piece * 700)
        told((piece * 2000)[:2000])
