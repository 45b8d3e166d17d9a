"""The documentation is right: links and files exist, and each command is run here or by the test named for it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/README.md",
    "docs/tutorial.md",
    "docs/configuration.md",
    "docs/production.md",
    "docs/how-it-works.md",
    "docs/glossary.md",
    "docs/dependencies.md",
    "docs/decisions/README.md",
]

# Commands that other tests run, or that are this very test run. A command that stands nowhere fails the test below.
RUN_BY = {
    "make demo": "tests/demo/test_demo.py",
    "make test": "scripts/test",
    "make messages": "tests/console/test_translations.py",
    "make lint": "make -n, below, and .ci/run",
    "make check": "make -n, below",
    ".venv/bin/pytest tests/engine": "scripts/test",
    ".venv/bin/pytest tests/test_structure.py -k worker": "scripts/test",
    "TEST_DATABASE=postgresql .venv/bin/pytest -m rows tests/access": "scripts/test",
    "python manage.py field_key": "tests/demo/test_commands.py",
    "python manage.py migrate": "tests/demo/test_commands.py",
    "python manage.py collectstatic --noinput": "tests/demo/test_commands.py",
    "python manage.py createsuperuser": "tests/demo/test_commands.py",
    "python manage.py service_account pipeline": "tests/demo/test_commands.py",
    "python manage.py token ci --user pipeline --scopes read,publish,deploy": "tests/demo/test_commands.py",
    "gunicorn -c gunicorn.conf.py deployer.wsgi": "tests/demo/test_commands.py",
    "celery -A deployer worker": "tests/demo/test_commands.py",
    "python manage.py verify_history": "tests/audit/test_chain.py",
    "python manage.py broker": "tests/demo/test_commands.py",
}


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the page's fenced blocks: (what stands behind the fence, text)."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def shell_commands() -> list[str]:
    found = []
    for page in PAGES:
        for kind, text in blocks(page):
            if kind == "sh":
                found += [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return found


def five_minutes() -> str:
    """The tutorial, as one script."""
    return "".join(text for kind, text in blocks("docs/tutorial.md") if kind == "sh five-minutes")


def test_every_command_is_run_by_a_test():
    assert set(shell_commands()) == set(RUN_BY)


@pytest.mark.parametrize(
    "target",
    [
        "demo",
        "run",
        "test",
        "security",
        "fuzz",
        "mutants",
        "model",
        "lint",
        "check",
        "lock",
        "sbom",
        "audit",
        "messages",
        "rights",
        "screenshots",
        "bench",
        "help",
    ],
)
def test_every_make_target_exists(target):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_settings_table_matches_the_code():
    read = set()
    for path in ("deployer/settings.py", "gunicorn.conf.py"):
        read |= set(re.findall(r"\b(?:\w+\.)?\w+\(\s*[\"']([A-Z_]+)[\"']", (ROOT / path).read_text()))
    table = (ROOT / "docs/configuration.md").read_text().partition("## Environment variables")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE)) == read


def every_page() -> list[Path]:
    found = (ROOT.glob(pattern) for pattern in ("*.md", "*/README.md", "*/*/README.md", "docs/**/*.md"))
    return sorted(
        {page for pages in found for page in pages if page.relative_to(ROOT).parts[0] not in (".venv", "var")}
    )


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_works():
    missing = []
    for page in every_page():
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", prose(page)):
            path = page.parent / target if target else page
            if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
                missing.append(f"{page.relative_to(ROOT)}: {target}#{anchor}")
    assert not missing


def test_prose_is_wrapped():
    """Lines outside of code, tables and HTML have at most 120 characters."""
    wrong = []
    for page in every_page():
        lines = (line for line in prose(page).splitlines() if not line.lstrip().startswith(("|", "<")))
        wrong += [f"{page.relative_to(ROOT)}: {line[:40]}" for line in lines if len(line) > 120]
    assert not wrong


def test_every_named_file_exists():
    """Files and tests that pages name: `folder/file.py` from the root, the page or an app, and `file.py::test`."""
    wrong = []
    for page in every_page():
        if page.name == "CHANGELOG.md":
            continue
        starts = (ROOT, page.parent, ROOT / "microservice", ROOT / "deployer" / "engine")
        named = re.findall(
            r"`((?:[\w.@-]+/)+[\w.@-]+\.(?:py|sh|md|html|js|toml|pml))(?:::(\w+))?(?:\[[^`]*)?`", prose(page)
        )
        for name, test in named:
            found = [start / name for start in starts if (start / name).is_file()]
            if not found or (test and not re.search(rf"^def {test}\b", found[0].read_text(), re.MULTILINE)):
                wrong.append(f"{page.relative_to(ROOT)}: {name} {test}")
    assert not wrong


def test_every_package_has_its_reason():
    reasons = (ROOT / "docs/dependencies.md").read_text().lower()
    for name in ("requirements.in", "requirements-s3.in", "requirements-dev.in", "requirements-audit.in"):
        for line in (ROOT / name).read_text().splitlines():
            if line and line[0] not in "#-":
                assert "==" in line, f"{line} is not pinned"
                package = re.split(r"[\[=]", line)[0].lower()
                assert package in reasons, f"docs/dependencies.md does not say why {package} is needed"


def test_every_package_is_locked():
    for name in ("requirements", "requirements-s3", "requirements-dev", "requirements-audit"):
        locked = (ROOT / f"{name}.txt").read_text()
        for entry in re.split(r"\n(?=\S)", locked):
            if not entry.startswith("#"):
                assert re.match(r"[A-Za-z0-9._-]+(\[[^]]*\])?==\S+", entry), f"{name}.txt: {entry[:60]}"
                assert "--hash=sha256:" in entry, f"{name}.txt: {entry[:60]}"
        for line in (ROOT / f"{name}.in").read_text().splitlines():
            if line and line[0] not in "#-":
                package, version = re.fullmatch(r"([^=\[]+)(?:\[[^]]*\])?==(\S+)", line).groups()
                wanted = re.compile(rf"^{re.escape(package)}(\[[^]]*\])?=={re.escape(version)}( |$)", re.M | re.I)
                assert wanted.search(locked), f"{name}.txt does not hold {line}: make lock"


def test_layout_exists():
    layout = (ROOT / "CONTRIBUTING.md").read_text().partition("## Layout")[2].partition("```\n")[2].partition("```")[0]
    top = ""
    for line in layout.splitlines():
        indent, words = len(line) - len(line.lstrip()), line.split()
        for name in [word for word in words[:2] if re.fullmatch(r"[a-z_]+(\.py|/)", word)]:
            path = ROOT / (top if indent else "") / name
            assert path.exists(), f"{path} does not exist"
            if not indent:
                top = name


def test_production_files_run_the_documented_commands():
    web = (ROOT / "docs/production/deployer-web.service").read_text()
    worker = (ROOT / "docs/production/deployer-worker@.service").read_text()
    assert "gunicorn -c gunicorn.conf.py deployer.wsgi" in web
    assert "celery -A deployer worker" in worker
    table = (ROOT / "docs/configuration.md").read_text()
    for line in (ROOT / "docs/production/deployer.env").read_text().splitlines():
        if line and not line.startswith("#"):
            assert f"| `{line.partition('=')[0]}` |" in table


def test_scripts_are_valid_shell():
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run", ROOT / "docs/production/deployer-manage"]:
        if path.is_file() and path.read_text().startswith("#!/bin/sh"):
            assert subprocess.run(["sh", "-n", path]).returncode == 0, path


def test_names_no_private_registry_or_folder():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    if not any(names):
        pytest.skip("this is no git checkout, so there is no list of what belongs to the repository")
    here = str(ROOT)
    wrong = []
    for name in filter(None, names):
        path = ROOT / name
        if path.suffix in (".png", ".woff2", ".ico", ".mo") or not path.is_file() or path == Path(__file__):
            continue
        text = path.read_text(errors="replace")
        if re.search(r"--(extra-)?index-url|--find-links", text) or (len(here) > 5 and here + "/" in text):
            wrong.append(name)
    assert not wrong


def test_python_is_supported():
    assert sys.version_info >= (3, 11)


def test_pictures_exist_in_both_themes_and_are_small():
    taken = {path.name for path in (ROOT / "docs/screenshots").glob("*.png")}
    assert sum((ROOT / "docs/screenshots" / name).stat().st_size for name in taken) < 2_000_000
    guide = _shown("docs/images.md")
    for page in ("README.md", "docs/console.md"):
        shown = _shown(page) | guide
        assert shown == taken, f"{page} lacks {taken - shown}, and {shown - taken} are not there"
    assert all(f"{name.removesuffix('.png').removesuffix('-dark')}-dark.png" in taken for name in taken)


def _shown(page: str) -> set[str]:
    return set(re.findall(r'screenshots/([\w-]+\.png)"', (ROOT / page).read_text()))
