"""Every value that the API admits in what a form shows, as strategies for hypothesis."""

import string

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import strategies as st

from callbacks.models import EventType
from deployer.engine.spec import ANCHORS

PEM = "-----BEGIN CERTIFICATE-----\nMIIB=\n\n-----END CERTIFICATE-----\n"
HARD = [
    "",
    " ",
    "=",
    "a=b",
    " a",
    "a ",
    "\ta",
    "a\n",
    "\na",
    "\n",
    "a\r\nb",
    "a\rb",
    "\r",
    '"',
    "'",
    '"a"',
    "'a'",
    '"a',
    "a\\nb",
    "\\",
    "#a",
    "•••",
    "null",
    "a\x0bb",
    "a\x85b",
    "a\u2028b",
    "\u00a0a",
    "\u3000",
    "\ufeffa",
    "日本語",
    "🙂\u200d🙂",
    "&amp;",
    "</textarea>",
    "<b>",
    "$HOME",
    "a;b",
    PEM,
    PEM.replace("\n", "\r\n"),
]
any_text = st.sampled_from(HARD) | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
printable = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")))
command = st.sampled_from(
    ["", "\n", "\n\na\n", "a\n b\n", "\ta", "a ", "a\nb\n\n", "</textarea>\n", "a &amp; b"]
) | st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\t"), max_size=50)
name = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda text: text.upper() not in ("SERVICE", "VERSION", "RELEASE", "CURRENT", "SHARED", "HOST", "PORT", "TAG")
)
word = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)


def limited(texts, most: int):
    return texts.map(lambda text: text[:most])


one_line = st.sampled_from(["a=b", " a ", '"', '"a" = b', "a b", "=", "\\"]) | limited(
    printable.filter(str.isprintable), 60
)
steps = st.lists(
    st.builds(
        lambda number, before, **texts: {
            "name": f"s{number}",
            "before": before,
            **{k: v for k, v in texts.items() if v},
        },
        st.integers(0, 9**9),
        st.sampled_from(sorted(ANCHORS)),
        run=any_text.filter(bool),
        undo=any_text,
        check=any_text,
    ),
    max_size=3,
    unique_by=lambda step: step["name"],
)
service = st.fixed_dictionaries(
    {
        "description": limited(printable, 256),
        "environment": st.dictionaries(name, any_text, max_size=5),
        "steps": steps,
        "limits": st.just({}) | st.just({"step_timeout": 30, "idle_timeout": 0}),
        "build_refs": st.lists(st.sampled_from(["main", "release/*", "v?"]), max_size=3),
        "build_url": limited(printable, 128).filter(lambda text: "@" not in text),
        "build_username": limited(printable, 128),
        "auto_deploy_tag": limited(printable, 64),
        "auto_deploy_refs": st.lists(st.sampled_from(["main", "release/*", "v?"]), max_size=3),
        "auto_deploy_strategy": st.just({}) | st.just({"canary": 2, "on_failure": "revert_all"}),
        "keep_releases": st.integers(1, 100),
        "check_timeout": st.integers(1, 86400),
        "language": st.sampled_from(["cpp", "go", "python", "other"]),
        "run_as": st.sampled_from(["", "www-data"]),
        **{
            f"{of}_command": command
            for of in ("start", "stop", "check", "pre", "pre_undo", "post", "post_undo", "build")
        },
    }
)
host = st.fixed_dictionaries(
    {
        "ip": st.sampled_from(["10.0.0.1", "::1", "fe80::1:2", "192.0.2.1"]),
        "port": st.integers(1, 65535),
        "sudo": st.booleans(),
        "username": st.sampled_from(["root", "a@b", "_x"]),
        "base_path": limited(printable, 40).map(lambda t: "/x" + t.replace("/", "")),
        "description": limited(printable, 256),
        "package_port": st.none() | st.integers(1024, 65535),
        "package_address": st.none() | st.sampled_from(["10.0.0.9", "2001:db8::5"]),
        "teams": st.just([]) | st.just(["red"]),
        "labels": st.dictionaries(word, limited(printable, 255), max_size=3),
    }
)
person = st.fixed_dictionaries(
    {
        "first_name": st.text(st.characters(codec="utf-8"), max_size=150).filter(str.isprintable),
        "last_name": st.text(st.characters(codec="utf-8"), max_size=150).filter(str.isprintable),
        "email": st.sampled_from(["", "a@example.org"]),
        "admin": st.booleans(),
        "active": st.booleans(),
    }
)
KEY = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
instance = st.fixed_dictionaries(
    {
        "port": st.integers(0, 65535),
        "tag": limited(any_text, 64),
        "weight": st.integers(0, 1_000_000),
        "description": limited(any_text, 256),
        "is_maintain": st.booleans(),
    }
)
team = st.fixed_dictionaries(
    {
        "name": word.map(lambda text: f"t {text}"),
        "description": st.text(st.characters(codec="utf-8"), max_size=256).filter(str.isprintable),
    }
)
callback = st.fixed_dictionaries(
    {
        "url": st.sampled_from(
            ["https://example.org/", "https://example.org/a%20b?c=d&amp;e", "http://example.org:8080/x"]
        ),
        "headers": st.dictionaries(
            word.map(lambda text: f"X-{text}"), st.sampled_from(["a", " a ", "a: b"]), max_size=3
        ),
        "events": st.lists(st.sampled_from(EventType.values), min_size=1, unique=True),
        "active": st.booleans(),
    }
)
binding = st.fixed_dictionaries(
    {
        "project": one_line.map(lambda text: text.replace("*", "")).filter(bool),
        "team": one_line.filter(bool),
    }
)
tls = {
    "verify": st.booleans(),
    "ca": st.just("") | st.just("CA"),
    "client_cert": st.just(""),
    "client_key": st.just(""),
}
outside = st.fixed_dictionaries(
    {},
    optional={
        "package_store": st.fixed_dictionaries(
            {"kind": st.just("local"), "folder": any_text.map(lambda text: "/" + text), **tls}
        ),
        "gitlab": st.fixed_dictionaries(
            {
                "url": st.just("https://git.invalid/a"),
                "token": any_text,
                "webhook_secret": any_text,
                "projects": st.lists(binding, max_size=3),
                **tls,
            }
        ),
        "jenkins": st.fixed_dictionaries(
            {
                "url": st.just("https://ci.invalid"),
                "user": any_text,
                "token": any_text,
                "webhook_secret": any_text,
                "projects": st.lists(binding, max_size=3),
                **tls,
            }
        ),
        "registry": st.fixed_dictionaries(
            {
                "url": st.just("https://hub.invalid"),
                "hosts": st.lists(st.sampled_from(["hub.lan", "10.0.0.1:5000"]), max_size=3),
                "project": st.sampled_from(["", "team", "group/sub-group"]),
                "user": any_text.filter(lambda text: text.isprintable() and ":" not in text),
                "password": any_text,
                "web_url": st.sampled_from(["", "https://hub.invalid/{host}/{name}?{digest}"]),
                **tls,
            }
        ),
        "proxies": st.fixed_dictionaries(
            {
                "http": st.just("") | st.just("http://p.invalid:3128"),
                "https": st.just(""),
                "no_proxy": st.lists(st.sampled_from(["localhost", ".lan", "10.0.0.1"]), max_size=3),
            }
        ),
    },
)
